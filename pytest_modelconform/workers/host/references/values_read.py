"""What the model's Python code reads of its inputs' values: `int(index.max())`, `if mask.all():`.

A trace (`torch.jit.trace`, and what is made of it) keeps such a number as a constant, and is wrong for inputs that have
another. If all input sets give the same numbers, such an export passes.
"""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pytest_modelconform.terms.case import TORCH
from pytest_modelconform.terms.runs import ZEROS

from .. import control_flow
from ..build import Built
from ..part_case import PartCase

# What reads numbers outside of a graph. A slice's bounds and a size that is a tensor are read inside of a call, and a
# trace keeps those as what they are.
_METHODS = (
    *("item", "tolist", "numpy", "is_nonzero", "equal", "allclose", "__array__", "__contains__"),
    *("__bool__", "__int__", "__float__", "__complex__", "__index__"),
)
_READS = {*(f"torch.Tensor.{name}" for name in _METHODS), "torch.is_nonzero", "torch.equal", "torch.allclose"}
# Of these, the result has the sizes of what they are given, and none of its values.
_SIZES_ONLY = ("_like", "new_empty", "new_zeros", "new_ones", "new_full", "sym_size", "size")
_MOST_NAMED = 3
_Place = tuple[str, int]


def notes(built: Built, call: Callable[..., Any]) -> list[str]:
    """A note of the places that read the same in every input set; [] where there are none, or it can't be told.

    call: `eager.run`. It is run once more for each set, so after all that is kept of other runs.
    """
    if built.case.framework != TORCH or isinstance(built.case, PartCase) or built.dtype in ("float16", "bfloat16"):
        return []
    found: dict[_Place, list[Sequence[object]]] = {}
    for key in built.inputs:
        if key == ZEROS:
            continue  # its outputs' values aren't compared
        inputs = built.clone_inputs(key)
        reads = Reads(inputs)
        try:
            with control_flow.in_python(), reads, _Derived(reads):
                call(built, key, built.model, *inputs)
        except Exception:
            # A generated set that the model refuses, or code that no mode can follow.
            if key in built.generated:
                continue
            return []
        for place, values in reads.found.items():
            found.setdefault(place, []).append(values)
    same = [place for place, values in found.items() if all(v == values[0] for v in values) and not _is_check(place)]
    if not same:
        return []
    places = ", ".join(f"`{_source(place)}` at {_file(place)}" for place in same[:_MOST_NAMED])
    more = f" and {len(same) - _MOST_NAMED} more" if same[_MOST_NAMED:] else ""
    return [
        f"reads numbers of its inputs' values in Python, and every input set gives the same ones ({places}{more}). An "
        "export that keeps them as constants, as a trace does, would pass: give a set for which they differ"
    ]


class Reads(TorchFunctionMode):
    """Notes what Python reads of tensors that depend on the values of some inputs.

    found: by place, the numbers that were read there, in order.
    """

    def __init__(self, inputs: Any) -> None:
        super().__init__()
        self.found: dict[_Place, list[object]] = {}
        self._derived: set[StorageWeakRef] = set()
        self.add(tree_leaves(inputs))

    def add(self, values: Sequence[Any]) -> None:
        """Say that tensors depend on the inputs' values. What shares memory with one does, too."""
        self._derived.update(_memories(values))

    def knows(self, values: Sequence[Any]) -> bool:
        """Whether one of them depends on the inputs' values."""
        return any(memory in self._derived for memory in _memories(values))

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if resolve_name(func) in _READS and self.knows(args):
            place = _place(sys._getframe(1))
            if place is not None:
                self.found.setdefault(place, []).append(_comparable(result))
        return result


class _Derived(TorchDispatchMode):
    """Follows the values of inputs from operator to operator."""

    def __init__(self, reads: Reads) -> None:
        super().__init__()
        self._reads = reads

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        given = tree_leaves((args, kwargs))
        if self._reads.knows(given) and not func._schema.name.endswith(_SIZES_ONLY):
            self._reads.add(tree_leaves(result))
            written = [a for a in func._schema.arguments if a.alias_info is not None and a.alias_info.is_write]
            if written:
                self._reads.add(tree_leaves(list(_of(written, func, args, kwargs or {}))))
        return result


def _of(wanted: Sequence[Any], func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[Any]:
    """What these arguments of an operator are in a call."""
    names = [argument.name for argument in func._schema.arguments]
    for argument in wanted:
        place = names.index(argument.name)
        yield kwargs.get(argument.name) if place >= len(args) else args[place]


def _memories(values: Sequence[Any]) -> Iterator[StorageWeakRef]:
    for value in values:
        if isinstance(value, torch.Tensor):
            try:
                yield StorageWeakRef(value.untyped_storage())
            except (NotImplementedError, RuntimeError):
                continue  # sparse, or a wrapper of torch.func's: it has no memory of its own


def _comparable(value: Any) -> object:
    return (value.shape, value.tobytes()) if isinstance(value, np.ndarray) else repr(value)


def _place(frame: FrameType | None) -> _Place | None:
    """The line that called; None if that is ours, which stands for an operator."""
    # Of Python code in torch itself that other reads are made of, the caller is meant.
    while frame is not None and os.path.basename(frame.f_code.co_filename) in ("_tensor.py", "overrides.py"):
        frame = frame.f_back
    if frame is None or frame.f_code.co_filename == control_flow.__file__:
        return None
    return frame.f_code.co_filename, frame.f_lineno


def _source(place: _Place) -> str:
    return linecache.getline(*place).strip()


def _file(place: _Place) -> str:
    return f"{os.path.basename(place[0])}:{place[1]}"


def _is_check(place: _Place) -> bool:
    """Whether the line only refuses inputs: nobody can give a set for which it comes out otherwise."""
    file, line = place
    if _source(place).startswith(("assert", "_check_with(")):  # the latter is what torch._check calls
        return True
    return _source(place).startswith(("if ", "elif ")) and _source((file, line + 1)).startswith("raise")
