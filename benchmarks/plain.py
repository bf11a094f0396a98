"""The same matrix without the plugin: one plain process that exports, loads and runs, and compares with allclose.

It does the same exports (the functions of `pytest_modelconform.formats`), loads and runs (the case's input sets, the
same repeats, the same C++ executables, the same threads) as `pytest --modelconform cases/` with its usual formats and
runtimes, so that the difference in time is what the plugin costs or saves. No references in float64, no jitter, no
generated input sets, no isolation, no cache, no report; float32 only, and models in PyTorch only.
`python -m benchmarks.speed --only plain` measures both, the plugin without the cells that are not done here.

    python benchmarks/plain.py cases/ --threads 2
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import openvino
import torch

from pytest_modelconform.building import harness
from pytest_modelconform.cache import store
from pytest_modelconform.cells.answers import run_request
from pytest_modelconform.cells.case_files import is_case_file, static_cases
from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.references.prepared import InputSet
from pytest_modelconform.terms.case import TORCH
from pytest_modelconform.terms.signature import Signature
from pytest_modelconform.workers import arrays, tensors
from pytest_modelconform.workers.host import cases as case_files
from pytest_modelconform.workers.host.build import Built, build, encode_inputs
from pytest_modelconform.workers.host.references.runs import paths
from pytest_modelconform.workers.host.state import Globals
from pytest_modelconform.workers.torch_tensors import encode

ENGINES = {"libtorch-cpp": "libtorch", "ort-cpp": "ort", "openvino-cpp": "openvino"}


class Executable:
    """A C++ executable, and JSON lines to and from it."""

    def __init__(self, engine: str, threads: int) -> None:
        path = harness.executable(engine, store.default_folder(), print)
        command = [str(path), "--worker", "--device", "cpu", "--threads", str(threads)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"id": 1, **request}) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        if not answer["ok"]:
            raise RuntimeError(answer["error"]["message"])
        return answer


def run_torch(path: Path, format_name: str, built: Built, repeats: int, operators: list[str]) -> None:
    jit: Any = torch.jit.load
    loads = {"export": lambda path: torch.export.load(path).module(), "aoti": torch._inductor.aoti_load_package}
    module = loads.get(format_name, jit)(str(path))
    for name in built.inputs:
        for _ in range(repeats):
            args, kwargs = built.clone_inputs(name)
            with torch.no_grad():
                module(*args, **kwargs)


def run_flat(call: Any, signature: dict[str, Any], folder: Path, built: Built, repeats: int) -> None:
    for name in built.inputs:
        source = arrays.read(folder / f"inputs-{name}.safetensors")
        for _ in range(repeats):
            feeds = {entry["name"]: np.array(source[entry["path"]]) for entry in signature["inputs"]}
            for value in call(feeds):
                assert value is not None


def run_executable(
    worker: Executable, request: dict[str, Any], signature: dict[str, Any], folder: Path, built: Built, repeats: int
) -> None:
    worker.ask(op="load", **request)
    for name, (args, kwargs) in built.inputs.items():
        stored: dict[str, tensors.Tensor] = {}
        trees, named = encode_inputs(args, kwargs, stored)
        shapes = {path: list(tensor.shape) for path, tensor in stored.items()}
        file = folder / f"inputs-{name}.safetensors"
        entry = InputSet(name, file, list(trees), named, {}, shapes, frozenset(), {})
        more = run_request(Signature.read(signature), entry)
        worker.ask(op="run", inputs=str(file), outputs=str(folder / "outputs"), repeats=repeats, **more)
        arrays.read(folder / "outputs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=Path, nargs="*")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    registry = Registry()
    register_built_in(registry)
    # A case's C++ source is compiled for it, and its data are no model's.
    formats = [name for name in registry.select_formats(()) if not registry.format(name).NEEDS]
    runtimes = registry.select_runtimes(())
    executables = {name: Executable(engine, options.threads) for name, engine in ENGINES.items()}
    core = openvino.Core()
    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = options.threads
    seconds: defaultdict[str, float] = defaultdict(float)
    cells: Counter[str] = Counter()
    state = Globals()

    def attempt(kind: str, function: Any, *arguments: Any) -> Any:
        begin = time.perf_counter()
        try:
            result = function(*arguments)
            cells[f"{kind} done"] += 1
            return result
        except Exception as error:
            cells[f"{kind} failed"] += 1
            names = ", ".join(argument for argument in arguments if isinstance(argument, str))
            print(f"{kind} failed ({names}): {str(error).partition(chr(10))[0]}", flush=True)
            return None
        finally:
            seconds[kind] += time.perf_counter() - begin

    def run(runtime: str, format_name: str, folder: Path, signature: dict[str, Any], built: Built) -> None:
        path = folder / signature["file"]
        repeats = registry.format(format_name).REPEATS
        fetches = [entry["name"] for entry in signature.get("outputs", ())]
        if runtime == "torch":
            run_torch(path, format_name, built, repeats, signature["operators"])
        elif runtime == "ort":
            session = onnxruntime.InferenceSession(path, session_options, providers=["CPUExecutionProvider"])
            run_flat(lambda feeds: session.run(fetches, feeds), signature, folder, built, repeats)
        elif runtime == "openvino":
            hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": options.threads, "NUM_STREAMS": 1}
            infer = core.compile_model(path, "CPU", hints).create_infer_request()
            run_flat(lambda feeds: infer.infer(feeds).values(), signature, folder, built, repeats)
        else:
            request = registry.runtime(runtime).load_request(folder, signature)
            run_executable(executables[runtime], request, signature, folder, built, repeats)

    begin = time.perf_counter()
    for file in sorted(file for path in options.cases for file in (path.rglob("*.py") if path.is_dir() else [path])):
        if not is_case_file(file) or any(case.framework != TORCH for case in static_cases(file)):
            continue
        relative = file.as_posix()
        found = case_files.find(case_files.import_file(str(file.resolve()), relative), str(file))
        for name in found:
            state.restore()
            built = attempt("build", build, str(file.resolve()), relative, name)
            args, kwargs = built.clone_inputs()
            with torch.no_grad():
                built.output_paths = paths(encode(built.model(*args, **kwargs), str, {}))
            for format_name in formats:
                with tempfile.TemporaryDirectory() as temporary:
                    folder = Path(temporary)
                    for key, (args, kwargs) in built.inputs.items():
                        stored: dict[str, tensors.Tensor] = {}
                        encode_inputs(args, kwargs, stored)
                        tensors.write(str(folder / f"inputs-{key}.safetensors"), stored)
                    exporter = registry.format(format_name)
                    signature = attempt("export", exporter.export, built, folder)
                    state.restore()
                    if signature is None:
                        continue
                    signature["format"] = format_name
                    for runtime in runtimes:
                        if format_name in registry.runtime(runtime).FORMATS:
                            attempt("load and run", run, runtime, format_name, folder, signature, built)
    total = time.perf_counter() - begin
    for worker in executables.values():
        worker.ask(op="quit")
    print(f"{total:.1f} s in all;", ", ".join(f"{kind} {value:.1f} s" for kind, value in seconds.items()))
    print(", ".join(f"{kind}: {count}" for kind, count in sorted(cells.items())))


if __name__ == "__main__":
    main()
