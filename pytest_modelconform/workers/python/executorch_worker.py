"""Programs of ExecuTorch, in its runtime's Python bindings."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.metadata
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from executorch.extension.pybindings import portable_lib
from executorch.runtime import Runtime

from .. import flat, words
from ..arrays import Array, numpy_dtype
from ..loop import Handlers, WorkerError
from ..torch_tensors import from_torch

_METHOD = "forward"
# "[op_mean.cpp:44] Check failed …", and what follows of each argument.
_SAID = re.compile(r"\[(?!cpuinfo)\w+\.\w+:\d+\] ")
_ARGUMENT = re.compile(r"arg \d+ with type id \d+")


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""
    torch.set_num_threads(threads)
    portable_lib._unsafe_reset_threadpool(threads)
    runtime = Runtime.get()

    def load(request: dict[str, Any]) -> flat.Model:
        for library in request.get("libraries", []):
            ctypes.CDLL(library)  # registers its kernels, once a process
        program = runtime.load_program(request["model"])
        method = program.load_method(_METHOD)
        returns: list[int] = request["returns"]

        # program: the method reads from it, and doesn't keep it alive.
        def model(feeds: Mapping[str, Array], fetches: Sequence[str], program: Any = program) -> Sequence[Any]:
            tensors = {name: torch_of(array) for name, array in feeds.items()}
            results = execute(method, [tensors[a["name"]] if "name" in a else a["value"] for a in request["call"]])
            found = dict(zip(request["results"], (results[i] for i in returns), strict=True))
            return [array_of(found[name]) for name in fetches]

        return model

    version = importlib.metadata.version("executorch")
    return flat.handlers({"name": "executorch", "version": version, "devices": ["cpu"]}, load)


def execute(method: Any, arguments: Sequence[Any]) -> Sequence[Any]:
    """What a method returns. Raises WorkerError with what ExecuTorch says of a failure on stderr: it raises numbers."""
    try:
        results: Sequence[Any] = method.execute(arguments)
    except RuntimeError as error:
        # Once more, to hear why: to listen to each run would count as its time.
        with words.caught() as said, contextlib.suppress(RuntimeError):
            method.execute(arguments)
        reason = reason_in(said.text)
        raise WorkerError(f"RuntimeError: {error}{': ' if reason else ''}{reason}") from error
    return results


def reason_in(said: str) -> str:
    """The first thing that was wrong, and the operator that it was wrong in: the lines around them tell types."""
    lines = [line.partition("] ")[2].strip() for line in said.splitlines() if _SAID.match(line)]
    told = [line for line in lines if not _ARGUMENT.match(line)]
    where = [line.rpartition(" in operator ")[2].partition(": 0x")[0] for line in told if " in operator " in line]
    return (told[0] if told else "") + (f" ({where[0]})" if where else "")


def torch_of(array: Array) -> torch.Tensor:
    """A tensor of torch, which is what ExecuTorch takes, on the array's own memory."""
    dtype: torch.dtype = getattr(torch, array.dtype.name)
    if array.dtype.kind == "V":  # ml_dtypes' types, which torch doesn't know: the same bits
        return torch.from_numpy(array.view(f"i{array.itemsize}")).view(dtype)
    return torch.from_numpy(array)


def array_of(tensor: torch.Tensor) -> Array:
    """The tensor's numbers, row by row."""
    wire = from_torch(tensor)
    array: Array = np.frombuffer(wire.data, dtype=numpy_dtype(wire.dtype)).reshape(wire.shape)
    return array
