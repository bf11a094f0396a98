"""torch.cond and torch.while_loop where operators are watched: as the Python that they stand for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch


def _cond(pred: Any, true_fn: Callable[..., Any], false_fn: Callable[..., Any], operands: Sequence[Any] = ()) -> Any:
    return (true_fn if bool(pred) else false_fn)(*operands)


def _while_loop(cond_fn: Callable[..., Any], body_fn: Callable[..., Any], carried_inputs: Sequence[Any]) -> Any:
    carried = tuple(carried_inputs)
    while bool(cond_fn(*carried)):
        made = body_fn(*carried)
        carried = tuple(made) if isinstance(made, (tuple, list)) else (made,)
    return carried


_IN_PYTHON: dict[str, Callable[..., Any]] = {"cond": _cond, "while_loop": _while_loop}


@contextlib.contextmanager
def in_python() -> Iterator[None]:
    """While this is entered, both run as Python does.

    Else they compile what they are given, which no mode that watches operators can follow: there would be neither noise
    nor a float64 run, and two results that differ by a ten-thousandth would be alike. A model that has imported them by
    name keeps them as they are.
    """
    # torch.while_loop is not in every version.
    before = {name: getattr(torch, name) for name in _IN_PYTHON if hasattr(torch, name)}
    for name in before:
        setattr(torch, name, _IN_PYTHON[name])
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(torch, name, function)
