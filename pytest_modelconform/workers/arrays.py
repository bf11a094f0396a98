"""numpy arrays from and to the wire's tensors. Used by the pytest process and by the workers that take numpy arrays."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from . import tensors
from .tensors import Tensor

Array = npt.NDArray[Any]


def numpy_dtype(name: str) -> np.dtype[Any]:
    """Numpy's dtype for PyTorch's name of it; bfloat16 and float8 come from ml_dtypes."""
    if name in ("bfloat16", "float8_e4m3fn", "float8_e5m2"):
        import ml_dtypes

        special: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
        return special
    return np.dtype(name)


def to_array(tensor: Tensor) -> Array:
    """A read-only array on the tensor's own bytes; one that was not row-major is copied to its strides."""
    flat: Array = np.frombuffer(tensor.data, dtype=numpy_dtype(tensor.dtype))
    array = flat.reshape(tensor.shape)
    if tensor.order is not None:
        array = np.ascontiguousarray(array.transpose(tensor.order)).transpose(np.argsort(tensor.order))
    return array


def from_array(array: Array) -> Tensor:
    """The tensor of a numpy array. Raises KeyError for a dtype that the wire doesn't know."""
    name = array.dtype.name
    data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return Tensor(name, array.shape, memoryview(data))  # type: ignore[arg-type]


def read(path: str | os.PathLike[str]) -> dict[str, Array]:
    """All arrays of a tensor file, on a memory map."""
    return {key: to_array(tensor) for key, tensor in tensors.read(os.fspath(path)).items()}


def write(path: str | os.PathLike[str], arrays: Mapping[str, Array]) -> None:
    """Write arrays as a tensor file."""
    tensors.write(os.fspath(path), {key: from_array(array) for key, array in arrays.items()})
