"""Programs of ExecuTorch, in its runtime's Python bindings."""

from __future__ import annotations

import ctypes
import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from executorch.extension.pybindings import portable_lib
from executorch.runtime import Runtime

from .. import flat
from ..arrays import Array, numpy_dtype
from ..loop import Handlers
from ..torch_tensors import from_torch

_METHOD = "forward"


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
            results = method.execute([tensors[a["name"]] if "name" in a else a["value"] for a in request["call"]])
            found = dict(zip(request["results"], (results[i] for i in returns), strict=True))
            return [array_of(found[name]) for name in fetches]

        return model

    version = importlib.metadata.version("executorch")
    return flat.handlers({"name": "executorch", "version": version, "devices": ["cpu"]}, load)


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
