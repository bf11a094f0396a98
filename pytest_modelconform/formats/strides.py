"""Strides in inductor's index expressions that can be read off, where it asks sympy to simplify.

For each index of a kernel and each loop variable, inductor simplifies the index, and then the difference that a step of
the variable makes. With dynamic sizes these are polynomials in many symbols: that took half of Python's time for a
convolutional model (docs/performance.md). Where every term with the variable is `factor * variable`, the difference is
the sum of these factors, whatever the other terms are.

A number has one form only, so it is read off wherever inductor asks. Of other sums simplification may choose another
form, which would show in the generated code: they are read off only while inductor chooses the loops that it tiles,
where it asks whether a stride is 0, 1 or a number, and which symbols are in it. So the generated code is the same.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sympy  # type: ignore[import-untyped]

_FUNCTION = "stride_at_vec_range"
_CHOICE = ("TilingSelect", "select_tiling")
Stride = Callable[..., Any]


def linear_stride(index: sympy.Expr, variable: sympy.Symbol) -> sympy.Expr | None:
    """What `index` grows by where `variable` grows by one, if that can be read off; else None."""
    import sympy

    if index.has(sympy.Rel, sympy.Piecewise):
        return None
    factors = []
    for term in sympy.Add.make_args(index):
        if not term.has(variable):
            continue
        factor, rest = term.as_independent(variable, as_Add=False)
        if rest != variable:
            return None
        factors.append(factor)
    return sympy.Add(*factors)


class _Reading:
    """Inductor's function for strides, asked only for what can't be read off.

    chooses: whether inductor chooses the loops that it tiles.
    """

    def __init__(self, inductors: Stride) -> None:
        self.inductors = inductors
        self.chooses = False

    def stride(self, index: Any, var: Any, vec_length: int | None = None) -> Any:
        known = linear_stride(index, var)
        if known is not None and (known.is_number or self.chooses):
            return known
        return self.inductors(index, var, vec_length)

    def choosing(self, choose: Callable[..., Any]) -> Callable[..., Any]:
        """Inductor's choice of tiles, in which all strides are read off."""

        @functools.wraps(choose)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.chooses = True
            try:
                return choose(*args, **kwargs)
            finally:
                self.chooses = False

        return wrapped


@contextlib.contextmanager
def read_off() -> Iterator[None]:
    """Have inductor's C++ backend read strides off. A torch in which it is written otherwise is left as it is."""
    from torch._inductor import sizevars
    from torch._inductor.codegen import cpp

    owner, method = getattr(cpp, _CHOICE[0], None), _CHOICE[1]
    inductors = getattr(sizevars, _FUNCTION, None)
    if not callable(inductors) or getattr(cpp, _FUNCTION, None) != inductors:
        yield
        return
    reading = _Reading(inductors)
    choose: Any = getattr(owner, method, None)
    try:
        for module in (sizevars, cpp):
            setattr(module, _FUNCTION, reading.stride)
        if choose is not None:
            setattr(owner, method, reading.choosing(choose))
        yield
    finally:
        for module in (sizevars, cpp):
            setattr(module, _FUNCTION, inductors)
        if choose is not None:
            setattr(owner, method, choose)
