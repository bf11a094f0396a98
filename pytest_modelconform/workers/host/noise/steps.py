"""Steps of a quantised model: numbers rounded to int8 and back, in float64, and how far they may be off.

A number near the middle between two steps may be rounded to either: an order of summation, a bias that is kept as an
integer, or a scale that is folded decides. That is no fault, however large a step is beside the rounding of float32.
Which numbers are near the middle is luck, so noisy runs move every number that was rounded: by what a flip in one
number of 64 comes to as root mean square.
"""

from __future__ import annotations

from typing import Any

import torch

from .call import Draws

NAMESPACE = "quantized_decomposed"
_ROUNDING = ("quantize_per_tensor", "quantize_per_channel")
_BACK = ("dequantize_per_tensor", "dequantize_per_channel")
# By which share of a step, as root mean square.
SHARE = 0.125


def is_step(func: Any) -> bool:
    """Whether an operator is one of these."""
    return func.namespace == NAMESPACE and func.overloadpacket.__name__ in (*_ROUNDING, *_BACK)


def is_rounding(func: Any) -> bool:
    """Whether it rounds."""
    return func.overloadpacket.__name__ in _ROUNDING


def in_float64(func: Any, args: Any, kwargs: Any) -> torch.Tensor:
    """The operator for float64: integers where it rounds, float64 where it goes back."""
    given = _given(func, args, kwargs)
    scale, zero = _by_axis(given, given["input"].dim())
    if is_rounding(func):
        return _rounded(_in_steps(given["input"], scale).round(), zero, given)
    return (given["input"].double() - zero) * scale


def moved(func: Any, args: Any, kwargs: Any, returned: torch.Tensor, draws: Draws, scale: float) -> torch.Tensor:
    """What came back from steps, each number moved. scale: of the move."""
    given = _given(func, args, kwargs)
    by, _ = _by_axis(given, returned.dim())
    noise = draws.normal(returned.shape, torch.float64) * (SHARE * scale * by)
    # As it lies in memory: what follows may want a view.
    return returned.copy_(returned.double() + noise)


def _given(func: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    names = [argument.name for argument in func._schema.arguments]
    return {**dict.fromkeys(names), **dict(zip(names, args, strict=False)), **kwargs}


def _by_axis(given: dict[str, Any], dims: int) -> tuple[Any, Any]:
    """Scale and zero point, as float64 that fit the tensor."""
    if "scales" not in given:
        return torch.as_tensor(given["scale"], dtype=torch.float64), given["zero_point"]
    shape = [-1 if axis == given["axis"] % dims else 1 for axis in range(dims)]
    zero = given["zero_points"]
    return given["scales"].double().view(shape), 0 if zero is None else zero.double().view(shape)


def _in_steps(value: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return value.double() * (1.0 / scale)


def _rounded(steps: torch.Tensor, zero: Any, given: dict[str, Any]) -> torch.Tensor:
    return torch.clamp(steps + zero, given["quant_min"], given["quant_max"]).to(given["dtype"])
