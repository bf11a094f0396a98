"""Strides in inductor's index expressions that can be read off, where it asks sympy to simplify.

For each index of a kernel and each loop variable, inductor simplifies the index, and then the difference that a step of
the variable makes. With dynamic sizes these are polynomials in many symbols: that took half of Python's time for a
convolutional model (docs/performance.md). Where an index is `number * variable` and terms without the variable, that
number is the difference, whatever the terms are: the generated code is the same. All others go to inductor's own.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sympy

_NAME = "stride_at_vec_range"
Stride = Callable[..., Any]


def constant_stride(index: sympy.Expr, variable: sympy.Symbol) -> sympy.Expr | None:
    """What `index` grows by where `variable` grows by one, if that is a number that can be read off; else None."""
    import sympy

    if index.has(sympy.Rel, sympy.Piecewise):
        return None
    stride = sympy.S.Zero
    for term in sympy.Add.make_args(index):
        if not term.has(variable):
            continue
        factor, rest = term.as_coeff_Mul()
        if rest != variable:
            return None
        stride += factor
    return stride


def reading_off(inductors: Stride) -> Stride:
    """Inductor's function, asked only where `constant_stride` doesn't know."""

    @functools.wraps(inductors)
    def stride(index: Any, var: Any, vec_length: int | None = None) -> Any:
        known = constant_stride(index, var)
        return inductors(index, var, vec_length) if known is None else known

    return stride


@contextlib.contextmanager
def read_off() -> Iterator[None]:
    """Have inductor's C++ backend read strides off. A torch that has no such function is left as it is."""
    from torch._inductor import sizevars
    from torch._inductor.codegen import cpp

    found = [(module, getattr(module, _NAME)) for module in (sizevars, cpp) if hasattr(module, _NAME)]
    try:
        for module, inductors in found:
            setattr(module, _NAME, reading_off(inductors))
        yield
    finally:
        for module, inductors in found:
            setattr(module, _NAME, inductors)
