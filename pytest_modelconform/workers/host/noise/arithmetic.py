"""Arithmetic by element: one rounding, and none where the exact result is a number of the dtype.

What is exact in every arithmetic must not move: else boxes at whole pixels cross a `ceil` that no runtime crosses
(after Parker, Monte Carlo Arithmetic, 1997: random rounding leaves exact results alone).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from ..operands import mapped
from .call import ROUNDING, UNITS, Call, Formula, Relative, Spread, Tensor, floating, wide
from .products import is_whole

# Divisions and roots may be made of a reciprocal and a product.
_TWICE = 3.0**0.5
# The error of one rounding is up to u |y| for numbers just above a power of two, half of that just below the next: this
# makes of its root mean square that of the worst.
_MEAN = 1.25
_WIDER = {
    torch.float16: torch.float64,
    torch.bfloat16: torch.float64,
    torch.float32: torch.float64,
    torch.complex64: torch.complex128,
}

# The root mean square of one rounding over numbers of all sizes: between u / √3 and half of that.
_TYPICAL = 0.45
_FEW = 1 << 14
_FACTORIES = ("linspace", "logspace", "arange", "scalar_tensor")
_ONE_ROUNDING = (
    *("add", "sub", "rsub", "mul", "square", "leaky_relu", "_prelu_kernel", "prelu", "rrelu_with_noise"),
    *("linspace", "logspace", "arange", "addr", "ger", "outer", "hardswish", "hardsigmoid", "remainder", "fmod"),
    *("leaky_relu_backward", "hardswish_backward", "hardsigmoid_backward", "prelu_backward", "mul_scalar", "deg2rad"),
    *("hardshrink", "softshrink", "floor_divide", "scalar_tensor", "kron", "rad2deg"),
)
_TWO_ROUNDINGS = ("div", "true_divide", "sqrt", "reciprocal", "addcmul", "addcdiv", "lerp", "cross", "linalg_cross")


def _rounded(factor: float) -> Formula:
    """Of operators with one rounding: that rounding's own error, which is 0 where the result is exact."""

    def formula(call: Call) -> Sequence[Spread]:
        (result,) = call.results
        if result.numel() > _FEW and not _mostly_exact(call, result):
            return [Relative(_TYPICAL * factor * call.unit)]
        error = _error(call, result)
        return [Relative(ROUNDING * factor * call.unit) if error is None else error * (_MEAN * factor)]

    return formula


def _mostly_exact(call: Call, result: Tensor) -> bool:
    """Whether most of a few hundred rows' numbers are exact: then each is looked at. By chance about half may be."""
    if result.dim() < 1 or call.func._schema.is_mutable:
        return True
    step = max(1, result.numel() // _FEW)

    def few(value: Any) -> Any:
        if isinstance(value, torch.Tensor) and value.numel() > 1:
            return value.expand(result.shape).reshape(-1)[::step]
        return value

    try:
        sample = few(result)
        args = mapped(few, tuple(call.args))
        error = _error(replace(call, args=args), sample)
    except Exception:
        return True
    return error is None or float((error == 0).float().mean()) > 0.75


def _error(call: Call, result: Tensor) -> Tensor | None:
    """How far a result is from that of the same operator in float64; None where that can't be computed."""
    if result.dtype not in _WIDER:
        return torch.zeros((), dtype=result.dtype) if is_whole(result) else None

    def widen(value: Any) -> Any:
        if isinstance(value, torch.dtype):
            return _WIDER.get(value, value)
        return value.to(_WIDER[value.dtype]) if floating(value) and value.dtype in _WIDER else value

    func, args = call.func, mapped(widen, tuple(call.args))
    kwargs = {name: mapped(widen, value) for name, value in call.kwargs.items()}
    if call.name in _FACTORIES:
        kwargs["dtype"] = _WIDER[result.dtype]
    if func._schema.is_mutable:
        func = getattr(getattr(torch.ops, func.namespace), call.name)
    error: Tensor = func(*args, **kwargs) - result
    return error.to(wide(result).dtype)


def _cancelling(call: Call) -> Sequence[Spread]:
    """A + v b c, a + w (b - a): the part that is added is rounded before, or (fused) is not."""
    (result,) = call.results
    part = (wide(result) - wide(call["self"])).abs()
    spread = (wide(result).abs() + part) * (ROUNDING * call.unit)
    error = _error(call, result)
    return [spread if error is None else torch.where(error == 0, 0.0, spread)]


def general(call: Call) -> Sequence[Spread]:
    """What is moved where no formula is known: a few units of each result; whole numbers stay."""
    return [
        None if not result.numel() or is_whole(result) else wide(result).abs() * (2.0 * UNITS[result.dtype])
        for result in call.results
    ]


FORMULAS: dict[str, Formula] = {
    **dict.fromkeys(_ONE_ROUNDING, _rounded(ROUNDING)),
    **dict.fromkeys(_TWO_ROUNDINGS, _rounded(_TWICE)),
    **dict.fromkeys(("addcmul", "addcdiv", "lerp"), _cancelling),
}
