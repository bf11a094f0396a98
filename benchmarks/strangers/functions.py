"""Functions as a vectorised library has them: right to some units in the last place, and exact where they are exact."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# The greatest error, in units in the last place, that libraries of vectorised functions promise: correctly rounded,
# and as SLEEF's and MKL's documents have it, from 1 to 4.
UNITS = (0, 1, 2, 4)
_LARGEST = 0x7F000000  # of a float32's bits: a step from here isn't infinite
_SMALLEST = 0x00800000  # of the normal ones


@dataclass(frozen=True)
class Error:
    """What a library's function is off by: up to so many units, the same for the same value."""

    units: int
    seed: int


def rounded(exact: Tensor, error: Error, low: float = -math.inf, high: float = math.inf) -> Tensor:
    """A float64 result in float32, moved by what a library's may be off by; within the function's own range.

    What is representable, or too small or large for its neighbours to be as far apart as its own size says, is exact.
    The error depends on the result's bits and the seed alone, as that of a function does.
    """
    result = exact.float()
    if error.units == 0:
        return result
    bits = result.view(torch.int32)
    size = bits & 0x7FFFFFFF
    moves = (result.double() != exact) & (size < _LARGEST) & (size > _SMALLEST + error.units)
    span = 2 * error.units + 1
    step = _hash(bits, error.seed) % span - error.units
    moved = torch.where(moves, bits + step.to(torch.int32), bits).view(torch.float32)
    return moved.clamp(low, high) if math.isfinite(low) or math.isfinite(high) else moved


def _hash(bits: Tensor, seed: int) -> Tensor:
    """Numbers of 31 bits that look drawn, by value (a multiplicative hash, twice)."""
    mixed = (bits.long() & 0xFFFFFFFF) + (seed & 0xFFFF) * 0x9E3779B1
    for _ in range(2):
        mixed = ((mixed ^ (mixed >> 15)) * 0x2C1B3C6D) & 0xFFFFFFFF
    return (mixed ^ (mixed >> 16)) & 0x7FFFFFFF


# operator -> (lowest, highest) of its values. Each is called in float64 for what is exact.
UNARY: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("exp", "exp2", "sigmoid", "erfc", "softplus", "cosh"), (0.0, math.inf)),
    **dict.fromkeys(("expm1",), (-1.0, math.inf)),
    **dict.fromkeys(("tanh", "erf", "sin", "cos"), (-1.0, 1.0)),
    **dict.fromkeys(("rsqrt",), (0.0, math.inf)),
    **dict.fromkeys(
        ("log", "log1p", "log2", "log10", "tan", "asin", "acos", "atan", "sinh", "asinh"), (-math.inf, math.inf)
    ),
    **dict.fromkeys(("acosh", "atanh", "lgamma", "digamma"), (-math.inf, math.inf)),
    **dict.fromkeys(("gelu", "silu", "mish", "elu", "log_sigmoid"), (-math.inf, math.inf)),
}
UNARY["sigmoid"] = (0.0, 1.0)
BINARY = ("pow", "atan2")


def applied(function: Callable[..., Tensor], values: Tensor, error: Error, name: str) -> Tensor:
    """An elementwise function of float32, with that error. function: called with float64."""
    low, high = UNARY.get(name, (-math.inf, math.inf))
    return rounded(function(values.double()), error, low, high)
