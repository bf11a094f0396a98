"""tinygrad on the CPU, reading ONNX."""

from __future__ import annotations

import atexit
import importlib.metadata
import importlib.util
import os
import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import flat
from ..arrays import Array
from ..loop import Handlers


def clang_of_package() -> str | None:
    """A program that is called like clang, made of the one in the package ziglang; None without that package."""
    found = importlib.util.find_spec("ziglang")
    if found is None or not found.submodule_search_locations:
        return None
    folder = tempfile.mkdtemp(prefix="modelconform-clang-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    program = Path(folder, "clang")
    zig = Path(found.submodule_search_locations[0], "zig")
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(str(zig))} clang "$@"\n')
    program.chmod(0o700)
    return str(program)


# Both are read when tinygrad is imported, or by its first kernel. Otherwise it takes whatever GPU it finds.
os.environ["DEV"] = "CPU"
if not shutil.which(os.environ.get("CC", "clang")) and (clang := clang_of_package()):
    os.environ["CC"] = clang

from tinygrad.dtype import dtypes  # noqa: E402
from tinygrad.nn.onnx import OnnxRunner  # noqa: E402
from tinygrad.tensor import Tensor  # noqa: E402


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`. tinygrad computes on one thread."""

    def load(request: dict[str, Any]) -> flat.Model:
        runners: dict[tuple[Any, ...], OnnxRunner] = {(): OnnxRunner(request["model"])}

        def model(feeds: Mapping[str, Array], fetches: Sequence[str]) -> Sequence[Any]:
            # A runner keeps the lengths and the computed shapes of its first call.
            shapes = tuple((name, array.shape) for name, array in feeds.items())
            runner = runners.get(shapes) or runners.pop((), None) or OnnxRunner(request["model"])
            runners[shapes] = runner
            outputs = runner({name: to_tinygrad(array) for name, array in feeds.items()})
            wanted = [outputs[name] for name in fetches]
            Tensor.realize(*wanted)  # one by one, what they share would be computed for each
            return [from_tinygrad(tensor) for tensor in wanted]

        return model

    version = importlib.metadata.version("tinygrad")
    return flat.handlers({"name": "tinygrad", "version": version, "devices": ["cpu"]}, load)


def to_tinygrad(array: Array) -> Tensor:
    """The array as a tensor; bfloat16, which tinygrad doesn't take from numpy, by its bits."""
    if array.dtype.name == "bfloat16":
        return Tensor(array.view("uint16")).bitcast(dtypes.bfloat16)
    return Tensor(array)


def from_tinygrad(tensor: Tensor) -> Array:
    """The tensor in its own dtype; bfloat16, which tinygrad hands out as float32, by its bits."""
    if tensor.dtype == dtypes.bfloat16:
        import ml_dtypes

        bits: Array = tensor.bitcast(dtypes.uint16).numpy()
        return bits.view(ml_dtypes.bfloat16)
    return tensor.numpy()
