"""ncnn's own format: a trace, converted by pnnx."""

from __future__ import annotations

import ast
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from ..workers.loop import WorkerError
from .base import ExportMismatch, Signature, flat_signature

if TYPE_CHECKING:
    from ..workers.host.build import Built

NAME = "ncnn"
SUFFIXES = (".param",)
REQUIRES = ("torch", "pnnx")
REPRO = "pytest_modelconform.repro.parts.export_ncnn"

# pnnx' names of dtypes; it has no bool.
TYPES = {
    "float32": "f32", "float64": "f64", "float16": "f16", "bfloat16": "bf16",
    "int64": "i64", "int32": "i32", "int16": "i16", "int8": "i8", "uint8": "u8", "complex64": "c64",
}  # fmt: skip


def export(built: Built, folder: Path) -> Signature:
    """`torch.jit.trace`, then pnnx with the weights in float32. Raises WorkerError with pnnx' last words."""
    from . import torchscript_trace

    torchscript_trace.export(built, folder)
    arguments = ["inputshape=" + shapes(built, built.exporter_set)]
    if other := other_set(built):
        arguments.append("inputshape2=" + shapes(built, other))
    convert(folder, arguments)
    axes, outputs = batch_axes((folder / "model_ncnn.py").read_text())
    for path in folder.iterdir():
        if path.name not in ("model.ncnn.param", "model.ncnn.bin"):
            path.unlink()
    inputs = [name for name in axes if name not in outputs]
    names = [f"in{i}" for i in range(len(built.input_leaves))]
    signature = flat_signature("model.ncnn.param", built, inputs, outputs, names)
    return {**signature, "weights": "model.ncnn.bin", "batch_axes": axes}


def shapes(built: Built, name: str) -> str:
    """An input set's shapes and dtypes as pnnx takes them: `[2,3,64,64]f32,[2]i64`."""
    from torch.utils._pytree import tree_leaves

    found = []
    for value in tree_leaves(built.inputs[name]):
        if hasattr(value, "shape"):
            dtype = str(value.dtype).removeprefix("torch.")
            if dtype not in TYPES:
                raise WorkerError(f"pnnx can't take an input of {dtype}; it takes {', '.join(TYPES)}")
            found.append(f"[{','.join(map(str, value.shape))}]{TYPES[dtype]}")
    return ",".join(found)


def other_set(built: Built) -> str | None:
    """The input set whose shapes differ most from the exporters': pnnx takes what differs for dynamic."""
    from torch.utils._pytree import tree_leaves

    def lengths(name: str) -> list[list[int]]:
        return [list(value.shape) for value in tree_leaves(built.inputs[name]) if hasattr(value, "shape")]

    exported = lengths(built.exporter_set)
    differing: dict[str, int] = {}
    for name in built.inputs:
        own = lengths(name)
        if [len(shape) for shape in own] == [len(shape) for shape in exported]:
            pairs = [pair for a, b in zip(own, exported, strict=True) for pair in zip(a, b, strict=True)]
            # A length of 1 is taken for one that is broadcast.
            differing[name] = 0 if any(a == 1 != b for a, b in pairs) else sum(a != b for a, b in pairs)
    best = max(differing, key=lambda name: differing[name])
    return best if differing[best] else None


def convert(folder: Path, arguments: list[str]) -> None:
    """Run pnnx on `model.pt` in `folder`. Raises WorkerError where it fails, dies or writes nothing."""
    import pnnx

    done = subprocess.run(
        [pnnx.EXEC_PATH, "model.pt", *arguments, "fp16=0"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    said = " / ".join(done.stdout.strip().splitlines()[-3:])
    if done.returncode < 0:
        raise WorkerError(f"pnnx died by {signal.Signals(-done.returncode).name}: {said}", details=done.stdout[-20000:])
    if done.returncode or not (folder / "model.ncnn.param").exists():
        raise WorkerError(f"pnnx ended with status {done.returncode}: {said}", details=done.stdout[-20000:])


def batch_axes(script: str) -> tuple[dict[str, int], list[str]]:
    """From the example that pnnx writes: the axis of the batch of each input and output, and the outputs' names.

    An axis of 233 is pnnx' and ncnn's number for none. Raises ExportMismatch for a script that says nothing of it.
    """
    axes: dict[str, int] = {}
    outputs: list[str] = []
    for node in ast.walk(ast.parse(script)):
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg == "batch_index" and isinstance(keyword.value, ast.Constant):
                    call = ast.unparse(node)  # `ncnn.Mat(in0.numpy(), …)` or `out0.numpy(…)`
                    name = call.removeprefix("ncnn.Mat(").partition(".")[0]
                    axes[name] = int(str(keyword.value.value))
                    if name.startswith("out"):
                        outputs.append(name)
    if not outputs:
        raise ExportMismatch("pnnx wrote a script without an output")
    return axes, outputs
