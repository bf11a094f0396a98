"""numpy arrays from and to the wire's tensors. Used by the pytest process and by the workers that take numpy arrays.

Python 3.8 and numpy 1.19 (which has no numpy.typing): workers in the environments of old frameworks use this, too.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Mapping

import numpy as np

from . import tensors
from .tensors import Tensor

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]
else:
    Array = np.ndarray

# What numpy itself has no dtype for.
_SPECIAL = ("bfloat16", "float8_e4m3fn", "float8_e5m2")


def numpy_dtype(name: str) -> np.dtype[Any]:
    """Numpy's dtype for PyTorch's name of it; bfloat16 and float8 come from ml_dtypes.

    Raises TypeError for these where ml_dtypes isn't installed.
    """
    if name in _SPECIAL:
        try:
            import ml_dtypes
        except ModuleNotFoundError:
            raise TypeError("numpy has no %s by itself, and this environment has no ml_dtypes" % name) from None

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
