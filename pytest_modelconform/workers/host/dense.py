"""The dense tensors that a weight is made of: of a sparse one, and of one of a class of its own (torchao's)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

# How each sparse layout is stored, by the methods that give its parts.
_PARTS = {
    torch.sparse_coo: ("_indices", "_values"),
    torch.sparse_csr: ("crow_indices", "col_indices", "values"),
    torch.sparse_bsr: ("crow_indices", "col_indices", "values"),
    torch.sparse_csc: ("ccol_indices", "row_indices", "values"),
    torch.sparse_bsc: ("ccol_indices", "row_indices", "values"),
}


def is_dense(value: Any) -> bool:
    """Whether a tensor is its own only part."""
    return not is_traceable_wrapper_subclass(value) and value.layout not in _PARTS


def size(value: torch.Tensor) -> int:
    """Bytes of a tensor's parts."""
    return sum(part.nbytes for _, part in parts(value))


def parts(value: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """The dense tensors of a tensor, each with what its name ends with: "" for a dense one itself."""
    if is_traceable_wrapper_subclass(value):
        names, context = value.__tensor_flatten__()
        for name in names:
            for ending, part in parts(getattr(value, name)):
                yield f".{name}{ending}", part
        # What else it is: scales that are numbers, block sizes.
        yield f".{type(value).__name__}:{context!r}", torch.empty(0)
    elif value.layout in _PARTS:
        for name in _PARTS[value.layout]:
            yield f".{name}", getattr(value, name)()
        yield f".{value.layout}:{tuple(value.shape)}", torch.empty(0)
    else:
        yield "", value
