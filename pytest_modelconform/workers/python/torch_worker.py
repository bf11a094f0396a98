"""PyTorch in a process that has none of the case's code: loads TorchScript, .pt2 files and AOTInductor's packages."""

from __future__ import annotations

import gc
import os
import re
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from .. import registering, tensors
from ..loop import Answer, Handlers, WorkerError
from ..tensors import Tensor
from ..torch_tensors import Tree, decode, encode, release_memory, same_bits, to_torch
from . import aoti, program_file
from .fitted import fitting

# Bytes of an artifact from which its memory is looked after.
_LARGE = 2**28


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""
    torch.set_num_threads(threads)
    loaders: dict[str, Callable[[str], Any]] = {
        "torchscript-trace": lambda path: torch.jit.load(path, map_location=device),
        "torchscript-script": lambda path: torch.jit.load(path, map_location=device),
        "export": lambda path: fitting(*load_program(path, device)),
        "aoti": lambda path: aoti.load(path, device),
    }
    loaded: list[Callable[..., Any]] = []
    size = [0]

    def release() -> None:
        was_large = loaded and size[0] >= _LARGE
        loaded.clear()
        if was_large:
            gc.collect()  # programs are in cycles: one more would be here until they are looked for

    def load(request: dict[str, Any]) -> Answer:
        release()
        size[0] = os.path.getsize(request["model"])
        set_precision(request.get("precision") == "fast")
        register_operators(request)
        begin = time.perf_counter()
        # `export-2.11` is what another version wrote.
        kind = re.sub(r"-\d+\.\d+$", "", request["format"])
        loaded.append(loaders[kind](request["model"]))
        return {"seconds": time.perf_counter() - begin}

    def run_loaded(request: dict[str, Any]) -> Answer:
        if not loaded:
            raise WorkerError("run without a loaded model")
        return run(loaded[0], request, device)

    def unload(request: dict[str, Any]) -> Answer:
        release()
        release_memory(device)
        return {}

    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    hello = {"name": "torch", "version": torch.__version__, "language": "Python", "layout": "tree", "devices": devices}
    return {"hello": lambda request: hello, "load": load, "run": run_loaded, "unload": unload}


def register_operators(request: Mapping[str, Any]) -> None:
    """Register what a load request names: operators of a case and of packages, and classes. Raises WorkerError."""
    path = request.get("path", [])
    registering.register([*request.get("libraries", []), *request.get("modules", [])], path)
    registering.containers(request.get("containers", []), path)
    registering.packages(request.get("operators", []))


def set_precision(fast: bool) -> None:
    """Compute float32 products as float32, or as those who ship the fast mode: TF32 on GPUs, bfloat16 where CPUs can.

    For the whole process, until the next load.
    """
    torch.backends.cuda.matmul.allow_tf32 = fast
    torch.backends.cudnn.allow_tf32 = fast
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = fast
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = fast
    # Last: allowing TF32 sets this to "high".
    torch.set_float32_matmul_precision("medium" if fast else "highest")


def load_program(path: str, device: str) -> tuple[Callable[..., Any], Any]:
    """A module from a .pt2 file, on the device, wherever it was exported, and the pytree that it is called with."""
    program = program_file.read(path)
    tensors = [*program.state_dict.values(), *program.constants.values()]
    if device != "cpu" or any(value.device.type != device for value in tensors if isinstance(value, torch.Tensor)):
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, device)
    return program.module(), program.call_spec.in_spec


def run(model: Callable[..., Any], request: dict[str, Any], device: str) -> Answer:
    """Run a module as often as asked, on cloned inputs, and write every result that differs from an earlier one."""
    source = {key: to_torch(tensor, device) for key, tensor in tensors.read(request["inputs"]).items()}
    results: list[tuple[Tree, dict[str, Tensor]]] = []
    runs: list[dict[str, Any]] = []
    out: dict[str, Tensor] = {}
    fed: dict[str, torch.Tensor] = {}

    def feed(key: str) -> torch.Tensor:
        fed[key] = source[key].clone(memory_format=torch.preserve_format)
        return fed[key]

    for repeat in range(request["repeats"]):
        args = [decode(tree, feed) for tree in request["args"]]
        kwargs = {name: decode(tree, feed) for name, tree in request["kwargs"]}
        synchronize(device)
        begin = time.perf_counter()
        try:
            with torch.no_grad():
                returned = model(*args, **kwargs)
        except RuntimeError as error:
            if (what := _of_torchscript(str(error))) is None:
                raise
            raise WorkerError(what, kind=type(error).__name__, details=str(error)) from error
        synchronize(device)
        seconds = time.perf_counter() - begin
        values: dict[str, Tensor] = {}
        result = (encode(returned, str, values), values)
        same = next((i for i, earlier in enumerate(results) if earlier == result), None)
        results.append(result)
        if same is not None:
            runs.append({"seconds": seconds, "same_as": same})
            continue
        out.update((f"{repeat}{path}", tensor) for path, tensor in values.items())
        outputs = encode(returned, partial("{}{}".format, repeat), {})
        # Whatever the artifact is elsewhere: here it was called like the model, and returned what the model does.
        runs.append({"seconds": seconds, "layout": "tree", "outputs": outputs})
    tensors.write(request["outputs"], out)
    return {"runs": runs, "inputs_changed": sorted(key for key in fed if not same_bits(fed[key], source[key]))}


def _of_torchscript(text: str) -> str | None:
    """What failed in TorchScript, and in which line of the model; its own text begins with all of its stack. Else None.

    The stack of a trace goes through PyTorch to the exporter: the model's own line is the innermost outside PyTorch.
    """
    if not text.startswith("The following operation failed in the TorchScript interpreter"):
        return None
    last = next((line for line in reversed(text.splitlines()) if line.startswith("RuntimeError: ")), "")
    # Of a file that was loaded there are two: of the code in it, and of the model's own.
    lines = [line.strip() for line in text.rpartition("(most recent call last):")[2].splitlines()]
    frames = [re.match(r'(?:File ")?(.+?)(?:", line |\()(\d+)(?:\): |, in )(\w+)', line) for line in lines]
    own = next((frame for frame in frames if frame and "site-packages" not in frame[1]), None)
    where = f"\n  {own[1]}:{own[2]}, in {own[3]}" if own else ""
    return last.removeprefix("RuntimeError: ") + where if last else None


def synchronize(device: str) -> None:
    """Wait for an accelerator, so that times are those of the work."""
    if device != "cpu":
        torch.accelerator.synchronize()
