"""What loading and unloading leaves behind: a model is loaded, run and unloaded 200 times, over the wire.

After each time the worker's own memory is read (`RssAnon` in /proc: pages that are no file's). What the first 20 rounds
add is warming up: caches of allocators, thread pools, pages of code. The growth after that is fitted by least squares.

    python benchmarks/leaks.py [--loads 200] [--runtimes libtorch-cpp,ort-cpp]

Linux only.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pytest_modelconform.cache.store import Cache, default_folder
from pytest_modelconform.cells.answers import run_request
from pytest_modelconform.cells.pipeline import Pipeline
from pytest_modelconform.cells.pool import Pool, threads
from pytest_modelconform.cells.pool import environment as environment_of_workers
from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.cells.stages import Budget
from pytest_modelconform.cells.worker import Worker
from pytest_modelconform.terms.cell import CaseRef

CASES = Path(__file__).resolve().parents[1] / "cases"
MODELS = {"resnet18": "vision/resnet.py", "lstm": "plain/lstm.py"}
RUNTIMES = ("libtorch-cpp", "ort-cpp", "openvino-cpp")
LOADS, WARM = 200, 20
SECONDS = 3600.0


def resident(pid: int) -> int:
    """Bytes of memory of a process's own. Raises OSError where there is no /proc."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


def growth(memory: Sequence[int], warm: int = WARM) -> float:
    """Bytes a round, by least squares over the rounds after the first `warm`."""
    values = memory[warm:]
    return statistics.linear_regression(range(len(values)), values).slope


def measure(pipeline: Pipeline, ref: CaseRef, format_name: str, runtime: str, loads: int) -> list[int]:
    """The memory of a fresh worker after each round, in bytes."""
    registry = pipeline.registry
    [cell] = registry.cells(ref.relative, ref.name, [format_name], [runtime], ["cpu"])
    budget = Budget(SECONDS, pipeline.pool)
    prepared = pipeline.exports.prepare(ref, budget)
    artifact = pipeline.exports.artifact(ref, prepared, cell, budget, lambda outcome: False)
    command = registry.runtime(runtime).command("cpu", threads(1), pipeline.pool.cache, print)
    entry = next(iter(prepared.sets.values()))
    request = registry.runtime(runtime).load_request(artifact.folder, artifact.signature.stored)
    call = run_request(artifact.signature, entry)
    worker = Worker(runtime, command, environment_of_workers(threads(1), pipeline.pool.cache))
    memory = []
    with tempfile.TemporaryDirectory() as folder:
        outputs = str(Path(folder) / "outputs.safetensors")
        worker.hello(SECONDS)
        for _ in range(loads):
            worker.ask("load", SECONDS, **request)
            worker.ask("run", SECONDS, inputs=str(entry.file), outputs=outputs, **call)
            worker.ask("unload", SECONDS)
            memory.append(resident(worker.pid))
    worker.close()
    return memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loads", type=int, default=LOADS)
    parser.add_argument("--runtimes", default=",".join(RUNTIMES))
    arguments = parser.parse_args()
    registry = Registry()
    register_built_in(registry)
    cache = Cache(default_folder())
    pool = Pool(registry, cache.folder, [str(CASES)], threads(1), 1, False, print)
    pipeline = Pipeline(registry, cache, pool, SECONDS)
    print(
        f"{'case':10} {'format':20} {'runtime':14} {'first':>7} {'20th':>7} {'last':>7}  MiB; KiB a load after the 20th"
    )
    for name, file in MODELS.items():
        ref = CaseRef(CASES / file, f"cases/{file}", name)
        for runtime in arguments.runtimes.split(","):
            for format_name in registry.runtime(runtime).FORMATS:
                if format_name not in registry.formats:
                    continue
                memory = measure(pipeline, ref, format_name, runtime, arguments.loads)
                first, warm, last = (memory[i] / 2**20 for i in (0, WARM - 1, -1))
                slope = growth(memory) / 1024
                print(
                    f"{name:10} {format_name:20} {runtime:14} {first:7.1f} {warm:7.1f} {last:7.1f} {slope:11.2f}",
                    flush=True,
                )
    pipeline.close()
    pool.close()


if __name__ == "__main__":
    main()
