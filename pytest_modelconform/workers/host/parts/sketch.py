"""What a small case file is written from: a case's program as source, its tensors in words, and the sizes it can have.

The case is any that `torch.export` can read, and small: a part of a model.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pytest_modelconform.terms.exports import OPTIONS

from ...loop import Answer
from ..build import Built
from .layer import Layer, layer
from .sizes import Finder, cut
from .source import Line, Unwritable
from .trace import INPUT, Trace, traced

# All tensors of a sketch.
ALL = "all.pt"
# How the names of those of a second input set begin there.
OTHER = "two:"
# So many numbers can be written out.
_WRITTEN = 24


def make(built: Built, key: str, folder: Path, way: str, column: str) -> Answer:
    """The sketch of a case on an input set; its tensors go to `ALL` in the folder. Raises Unwritable.

    way: "program", "varying" (with sizes that vary), or "layer" (as a layer of `torch.nn`). column: what it is exported
    as, perhaps with options.
    """
    options = {"export": _options(built, column)}
    if way == "layer":
        made = layer(built, key)
        return {**_common(made, folder), **options, "layer": made.text, "mode": built.case.mode}
    trace = traced(built, key, varying=way == "varying")
    return {
        **_common(trace, folder),
        **options,
        "lines": [_line(line) for line in trace.lines],
        "returns": trace.returns,
    }


def _options(built: Built, column: str) -> str:
    """What the case gives the exporter of a column, as Python; "" for nothing. Raises Unwritable."""
    export = built.case.exports.get(column)
    if export is None:
        return ""
    options = export.options() if callable(export.options) else export.options
    text = repr(dict(options))
    try:
        if export.kind == OPTIONS and ast.literal_eval(text) == options:
            return text
    except (ValueError, SyntaxError):
        pass
    raise Unwritable("an export of its own")


def _common(trace: Trace | Layer, folder: Path) -> dict[str, Any]:
    others = {f"{OTHER}{name}": tensor for name, tensor in trace.others.items()}
    torch.save({**trace.tensors, **others}, folder / ALL)
    return {
        "others": [_described(name, INPUT, tensor) for name, tensor in trace.others.items()],
        "varies": {name: list(map(list, axes.items())) for name, axes in trace.varies.items() if axes},
        "values": [_described(name, trace.kinds[name], tensor) for name, tensor in trace.tensors.items()],
        "literals": list(trace.literals),
        "sizes": [
            {"of": size.of, "least": size.least, "slots": [[*slot, factor] for slot, factor in size.slots.items()]}
            for size in Finder(trace).found()
        ],
    }


def keep(folder: Path, target: Path, shapes: Mapping[str, Sequence[int]], below: Mapping[str, int]) -> Answer:
    """Write the first elements of a sketch's tensors to a file; `texts`: what the small ones are in Python.

    below: by name what whole numbers have to be less than.
    """
    tensors = torch.load(folder / ALL, weights_only=True)
    kept = {name: cut(tensors[name], shape, below.get(name)) for name, shape in shapes.items()}
    torch.save(kept, target)
    return {"texts": {name: _text(tensor) for name, tensor in kept.items() if tensor.numel() <= _WRITTEN}}


def _line(line: Line) -> dict[str, Any]:
    arguments = [{"name": a.name, "text": a.text, "optional": a.optional} for a in line.arguments]
    stated = {"assigns": line.assigns, "function": line.function, "method": line.method, "imports": line.imports}
    return {**stated, "arguments": arguments}


def _described(name: str, kind: str, tensor: torch.Tensor) -> dict[str, Any]:
    """A tensor in words. low, high, mean, deviation: of its numbers, as far as they are finite."""
    finite = tensor[torch.isfinite(tensor)] if tensor.is_floating_point() else tensor
    numbers = finite.double() if not tensor.is_complex() else torch.view_as_real(finite).double()
    is_empty = numbers.numel() == 0
    strides = list(tensor.stride())
    order = sorted(range(tensor.dim()), key=lambda axis: (-strides[axis], axis))
    return {
        "name": name,
        "kind": kind,
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "shape": list(tensor.shape),
        "order": [] if tensor.is_contiguous() else order,
        "pattern": _pattern(tensor),
        "finite": finite.numel() == tensor.numel(),
        "low": 0.0 if is_empty else float(numbers.min()),
        "high": 0.0 if is_empty else float(numbers.max()),
        "mean": 0.0 if is_empty else float(numbers.mean()),
        "deviation": 0.0 if is_empty else float(numbers.std(correction=0)),
    }


def _pattern(tensor: torch.Tensor) -> str:
    """What is regular in a tensor: "full" (one number), "arange", "tril", "triu"; "" if nothing is."""
    if tensor.numel() == 0 or tensor.is_complex():
        return ""
    if bool((tensor == tensor.reshape(-1)[0]).all()):
        return "full"
    if tensor.dim() == 1 and torch.equal(tensor.double(), torch.arange(len(tensor)).double()):
        return "arange"
    if tensor.dtype is torch.bool and tensor.dim() == 2:
        ones = torch.ones_like(tensor)
        return "tril" if torch.equal(tensor, ones.tril()) else "triu" if torch.equal(tensor, ones.triu()) else ""
    return ""


def _text(tensor: torch.Tensor) -> str:
    """A tensor's numbers as nested lists, as short as they are exact."""

    def written(value: Any) -> str:
        return "[" + ", ".join(map(written, value)) + "]" if isinstance(value, list) else value

    if tensor.is_complex() or not bool(torch.isfinite(tensor).all()):
        return ""
    numbers = _numbers(tensor)
    texts = np.array([str(number) for number in numbers.reshape(-1)], dtype=object)
    return written(texts.reshape(numbers.shape).tolist())


def _numbers(tensor: torch.Tensor) -> Any:
    """As NumPy prints them: those that it doesn't know as float32, which has all of their bits."""
    is_known = not tensor.is_floating_point() or tensor.dtype in (torch.float32, torch.float64)
    return (tensor if is_known else tensor.float()).numpy()
