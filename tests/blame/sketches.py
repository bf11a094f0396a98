"""Sketches by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_modelconform.blame.sketch import Argument, Line, Size, Slot, Value


def value(name: str, kind: str, *shape: int, **others: Any) -> Value:
    """A tensor of random numbers around 0."""
    usual: dict[str, Any] = {"dtype": "float32", "order": [], "pattern": "", "finite": True, "low": -2.0, "high": 2.0}
    return Value(name=name, kind=kind, shape=list(shape), **{**usual, "mean": 0.0, "deviation": 1.0, **others})


def line(assigns: str, function: str, *by_position: str, imports: str = "", method: bool = False, **named: str) -> Line:
    """A call; arguments by name may be left out."""
    arguments = [Argument(name="", text=[text], optional=False) for text in by_position]
    arguments += [Argument(name=name, text=[text], optional=True) for name, text in named.items()]
    return Line(assigns=assigns, function=function, method=method, imports=imports, arguments=arguments)


def size(of: int, least: int, literals: Mapping[int, int] | None = None, **axes: int) -> Size:
    """Places by tensor; "weight" is "self.weight". literals: factors by place."""
    slots = [Slot(f"self.{name}" if name == "weight" else name, axis, 1) for name, axis in axes.items()]
    slots += [Slot("", place, factor) for place, factor in (literals or {}).items()]
    return Size(of=of, least=least, slots=slots)
