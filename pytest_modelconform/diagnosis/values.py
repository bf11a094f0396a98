"""The model's values, changed: scaled, shifted, with a function too many or missing, rounded, without NaN."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..compare.groups import Array
from .judge import Judge, distinct, spread
from .sentences import factor

_FEW = 4  # distinct values below which one free number explains too much


def constant(judge: Judge) -> str | None:
    """The same number everywhere, which the model's output is not."""
    values = judge.y
    if values.size < _FEW:
        return None
    first = values.reshape(-1)[0]
    if values.dtype.kind == "f" and np.isnan(values).all():
        return "is NaN everywhere"
    return f"is {first} everywhere, the model's values vary" if (values == first).all() else None


def narrow(judge: Judge) -> str | None:
    """Every value has a place in a narrower format."""
    if (
        judge.y.dtype not in (np.float32, np.float64)
        or judge.y.size < 16
        or judge.reference.dtype != judge.y.dtype.name
    ):
        return None
    good = judge.compared if judge.y.shape == judge.model.shape else np.ones(judge.y.shape, bool)
    y = judge.y[good]
    y = y[np.isfinite(y) & (y != 0)]
    eager = judge.model[judge.compared]
    if y.size < 16 or not distinct(y, 8):
        return None
    for name, bits in (("bfloat16", 8), ("float16", 11), ("float32", 24)):
        if name != judge.y.dtype.name and _held(y, bits).all() and _held(eager, bits).mean() < 0.5:
            return f"has {name} numbers only: the output was rounded to {name}, or computed in it"
    return None


def _held(values: Array, bits: int) -> Array:
    mantissa = np.ldexp(np.frexp(values.astype(np.float64))[0], bits)
    held: Array = mantissa == np.rint(mantissa)
    return held


def sign(judge: Judge) -> str | None:
    """The other sign."""
    signed = judge.y.dtype.kind in "fci" and judge.y.shape == judge.model.shape
    return "has the model's values with the other sign" if signed and judge.explains(-judge.y) else None


def conjugated(judge: Judge) -> str | None:
    """Imaginary parts of the other sign."""
    wrong = judge.y.dtype.kind == "c" and judge.explains(judge.y.conj())
    return "has the complex conjugates of the model's values" if wrong else None


def pairs(judge: Judge) -> str | None:
    """Complex numbers as two real ones, as formats without complex numbers have them."""
    y, model = judge.y, judge.model
    if model.dtype.kind != "c" or y.dtype.kind != "f" or y.shape != (*model.shape, 2):
        return None
    if not judge.explains(y[..., 0] + 1j * y[..., 1]):
        return None
    return "has the model's complex numbers as pairs of real ones: `torch.view_as_complex` makes them complex again"


def _least(judge: Judge) -> float:
    """By how much of a value a factor or a constant has to change it: by half of the digits that it has."""
    return float(2.0 ** -(judge.reference.format.precision / 2))


def scaled(judge: Judge) -> str | None:
    """Values times c."""
    y, r = _pair(judge)
    if not distinct(r, _FEW) or not (square := float(np.square(np.abs(r)).sum())):
        return None
    c = float((y * r.conj()).sum().real) / square
    if not c or not math.isfinite(c) or abs(c - 1) <= _least(judge) or not judge.explains(judge.y / c):
        return None
    if f"{c:.6g}" == "1":
        return f"has the model's values times 1 {'plus' if c > 1 else 'minus'} {abs(c - 1):.2g}"
    return f"has the model's values times {factor(c, judge.model.shape)}"


def shifted(judge: Judge) -> str | None:
    """Values plus c."""
    y, r = _pair(judge)
    if not distinct(r, _FEW):
        return None
    c = float(np.mean(y - r).real)
    if not c or not math.isfinite(c) or abs(c) <= _least(judge) * spread(r) or not judge.explains(judge.y - c):
        return None
    return f"has the model's values {'plus' if c > 0 else 'minus'} {abs(c):.6g}"


def by_axis(judge: Judge) -> str | None:
    """Values plus c, or times c, with another c for each index of an axis: a bias or a scale."""
    if judge.exact or judge.y.shape != judge.model.shape or judge.model.ndim < 2 or judge.model.dtype.kind == "c":
        return None
    if not judge.compared.all():
        return None
    y, r = judge.y.astype(np.float64), judge.model
    for axis, length in enumerate(r.shape):
        others = tuple(a for a in range(r.ndim) if a != axis)
        if length < 2 or r.size // length < 8:
            continue
        constants = (y - r).mean(others, keepdims=True)
        if np.abs(constants).max() > _least(judge) * spread(r) and judge.explains(y - constants):
            return f"is off by a constant for each index of axis {axis}: a bias that is missing or another's"
        c = (y * r).sum(others, keepdims=True) / (r * r).sum(others, keepdims=True)
        if np.abs(c - 1).max() > _least(judge) and judge.explains(y / c):
            return f"is off by a factor for each index of axis {axis}: a scale that is missing or another's"
    return None


def affine(judge: Judge) -> str | None:
    """Values times a plus b."""
    y, r = _pair(judge)
    if r.dtype.kind == "c" or not distinct(r, 2 * _FEW):
        return None
    a = float(np.mean((y - y.mean()) * (r - r.mean())) / np.var(r))
    b = float(y.mean() - a * r.mean())
    small = max(abs(a - 1), abs(b) / (spread(r) or 1.0)) <= _least(judge)
    if not a or not math.isfinite(a + b) or small or not judge.explains((judge.y - b) / a):
        return None
    return f"has the model's values times {a:.6g} {'plus' if b > 0 else 'minus'} {abs(b):.6g}"


def _pair(judge: Judge) -> tuple[Array, Array]:
    """(y, r) where both are numbers; empty where they have other shapes."""
    if judge.y.shape != judge.model.shape or judge.exact:
        return np.empty(0), np.empty(0)
    good = judge.compared & np.isfinite(judge.y)
    return judge.y[good].astype(judge.model.dtype), judge.model[good]


def softmax(values: Array, axis: int) -> Array:
    """Exponentials that sum to 1 along an axis."""
    powers = np.exp(values - values.max(axis, keepdims=True))
    result: Array = powers / powers.sum(axis, keepdims=True)
    return result


def log_softmax(values: Array, axis: int) -> Array:
    """Its logarithm."""
    values = values - values.max(axis, keepdims=True)
    result: Array = values - np.log(np.exp(values).sum(axis, keepdims=True))
    return result


def sigmoid(values: Array) -> Array:
    """1 / (1 + exp(-x))."""
    result: Array = 1 / (1 + np.exp(-values))
    return result


_BY_AXIS: tuple[tuple[str, Callable[[Array, int], Array]], ...] = (("softmax", softmax), ("log_softmax", log_softmax))
_BY_ELEMENT: tuple[tuple[str, Callable[[Array], Array]], ...] = (
    ("sigmoid", sigmoid),
    ("tanh", np.tanh),
    ("relu", lambda values: np.maximum(values, 0)),
    ("exp", np.exp),
    ("log", np.log),
    ("abs", np.abs),
    ("square", np.square),
    ("sqrt", np.sqrt),
)


def functions(judge: Judge) -> str | None:
    """A function that was applied once too often, or not at all."""
    if (
        judge.exact
        or judge.y.shape != judge.model.shape
        or judge.model.dtype.kind not in "f"
        or not distinct(judge.y, 4)
    ):
        return None
    y, r = judge.y.astype(np.float64), judge.model
    for name, function in _BY_ELEMENT:
        if judge.explains(function(y)):
            return f"lacks the last {name}: {name} of it is what the model returns"
        if judge.predicts(function(r)):
            return f"is {name} of what the model returns: one {name} too many"
    for name, along in _BY_AXIS:
        for axis, length in enumerate(r.shape):
            if length > 1 and judge.explains(along(y, axis)):
                return f"lacks the last {name}: {name} of it over axis {axis} is what the model returns"
            if length > 1 and judge.predicts(along(r, axis)):
                return f"is {name} over axis {axis} of what the model returns: one {name} too many"
    return None


def special(judge: Judge) -> str | None:
    """NaN, infinities and the smallest numbers replaced by others."""
    y, r = judge.y, judge.model
    if y.dtype.kind != "f" or y.shape != r.shape or r.dtype.kind != "f":
        return None
    most = np.finfo(y.dtype).max
    eager = np.asarray(judge.reference.eager).astype(np.float64).reshape(r.shape)
    smallest = {"float16": 2.0**-14, "float32": 2.0**-126, "bfloat16": 2.0**-126}.get(judge.reference.dtype, 0.0)
    nan, inf = np.isnan(eager), np.isinf(eager)
    for where, sentence in (
        (nan & (y == 0), "has 0 where the model gives NaN"),
        (nan & np.isfinite(y), "has numbers where the model gives NaN"),
        (
            inf & (np.abs(y) == most) & (np.sign(y) == np.sign(eager)),
            "has infinities clipped to the largest finite number",
        ),
        (
            np.isinf(y) & (np.abs(eager) >= 1e30) & ~inf,
            "has infinity where the model gives a huge finite number (a mask?)",
        ),
        (np.isnan(y) & inf, "has NaN where the model gives infinity"),
        ((y == 0) & (eager != 0) & (np.abs(eager) < smallest), "has 0 where the model gives denormal numbers"),
    ):
        if where.any() and judge.passes(np.where(where, eager, y)):
            return sentence
    return None
