"""Faults in one output of a runtime."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import torch

from pytest_modelconform.workers.arrays import Array

from .mutants import NotApplicable

# The changed output. Raises NotApplicable.
ChangeOutput = Callable[[Array, random.Random], Array]


def need(holds: bool) -> None:
    """Raise NotApplicable unless something holds."""
    if not holds:
        raise NotApplicable


def floating(value: Array) -> bool:
    """Whether it holds floating or complex numbers."""
    return value.dtype.kind in "fc"


def through(kinds: str, dtype: str) -> ChangeOutput:
    """Rounded to another dtype and back."""

    def change(value: Array, source: random.Random) -> Array:
        need(value.dtype.kind in kinds)
        if dtype == "bfloat16":
            wide = torch.from_numpy(value.copy())
            return wide.bfloat16().to(wide.dtype).numpy()
        return value.astype(dtype).astype(value.dtype)

    return change


def as_dtype(before: str, after: str) -> ChangeOutput:
    """Of another dtype."""

    def change(value: Array, source: random.Random) -> Array:
        need(value.dtype == before)
        return value.astype(after)

    return change


def last_row_repeated(value: Array, source: random.Random) -> Array:
    need(value.ndim > 0 and value.shape[0] > 1)
    value[-1] = value[-2]
    return value


def row_zero(value: Array, source: random.Random) -> Array:
    need(value.ndim > 0 and value.shape[0] > 1)
    value[source.randrange(value.shape[0])] = 0
    return value


def rolled(axis: int) -> ChangeOutput:
    """Moved by one along an axis."""

    def change(value: Array, source: random.Random) -> Array:
        need(value.ndim > 1 and value.shape[axis] > 1)
        return np.roll(value, 1, axis)

    return change


def nan_to_zero(value: Array, source: random.Random) -> Array:
    need(floating(value))
    return np.where(np.isnan(value), value.dtype.type(0), value)


def infinity_to_largest(value: Array, source: random.Random) -> Array:
    need(value.dtype.kind == "f")
    return np.clip(value, np.finfo(value.dtype).min, np.finfo(value.dtype).max)


def element(factor: float) -> ChangeOutput:
    """One element off, in units of the tensor's root mean square over finite values."""

    def change(value: Array, source: random.Random) -> Array:
        need(floating(value) and value.size > 0)
        usual = np.isfinite(value) & (np.abs(value) < 1e30)
        places = np.flatnonzero(usual)
        need(places.size > 0)
        rms = np.sqrt(np.mean(np.abs(value[usual].astype(np.complex128)) ** 2))
        value.reshape(-1)[source.choice(list(places))] += value.dtype.type(factor * rms)
        return value

    return change


def element_nan(value: Array, source: random.Random) -> Array:
    need(floating(value) and value.size > 0)
    value.reshape(-1)[source.randrange(value.size)] = np.nan
    return value


def integer_off(value: Array, source: random.Random) -> Array:
    need(value.dtype.kind in "iu" and value.size > 0)
    value.reshape(-1)[source.randrange(value.size)] += 1
    return value


def other_layout(value: Array, source: random.Random) -> Array:
    """The bytes of channels last in a shape of channels first; of the transpose, for a matrix."""
    need(value.ndim > 1)
    return np.ascontiguousarray(np.moveaxis(value, 1, -1) if value.ndim > 2 else value.T).reshape(value.shape)


def squeezed(value: Array, source: random.Random) -> Array:
    need(value.ndim > 0)
    return value[None] if 1 not in value.shape else value.squeeze(value.shape.index(1))


def conjugated(value: Array, source: random.Random) -> Array:
    need(value.dtype.kind == "c")
    return value.conj()


def last_block_zero(value: Array, source: random.Random) -> Array:
    """The tail that a vectorised loop forgot."""
    need(value.size > 8)
    value.reshape(-1)[-(value.size % 8 or 8) :] = 0
    return value


def in_steps(value: Array, source: random.Random) -> Array:
    """In 255 steps over the range, as quantised."""
    need(value.dtype.kind == "f" and value.size > 0 and bool(np.isfinite(value).all()))
    step = np.abs(value).max() / 127
    return np.round(value / step) * step if step else value


OUTPUT_FAULTS: dict[str, ChangeOutput] = {
    "output rounded to float16": through("f", "float16"),
    "output rounded to bfloat16": through("f", "bfloat16"),
    "output wrapped at 32 bits": through("i", "int32"),
    "output through float32": through("i", "float32"),
    "output as int32": as_dtype("int64", "int32"),
    "output as float64": as_dtype("float32", "float64"),
    "output as float16": as_dtype("float32", "float16"),
    "output in 255 steps": in_steps,
    "last row repeated": last_row_repeated,
    "one row zero": row_zero,
    "rows moved by one": rolled(0),
    "last axis moved by one": rolled(-1),
    "NaN as 0": nan_to_zero,
    "infinity as the largest number": infinity_to_largest,
    "one element off by 1 % of rms": element(0.01),
    "one element off by rms": element(1.0),
    "one element NaN": element_nan,
    "one integer + 1": integer_off,
    "output × 1.001": lambda value, source: _floats(value) * value.dtype.type(1.001),
    "output negated": lambda value, source: -_floats(value),
    "output in another layout": other_layout,
    "output of another rank": squeezed,
    "complex output conjugated": conjugated,
    "last elements zero": last_block_zero,
}


def _floats(value: Array) -> Array:
    need(floating(value))
    return value
