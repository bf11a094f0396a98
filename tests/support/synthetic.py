"""References and outputs without a model behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pytest_modelconform.compare import Reference, make_reference
from pytest_modelconform.diagnosis.judge import Seen
from pytest_modelconform.diagnosis.patterns import hints

Array = np.ndarray[Any, Any]


def numbers(*shape: int, seed: int = 0) -> Array:
    """Normally distributed, in float64."""
    return np.random.default_rng(seed).standard_normal(shape)


def faithful(r: Array, seed: int = 9, dtype: Any = np.float32) -> Array:
    """What a good runtime returns: r with relative noise of about one rounding."""
    noise = np.random.default_rng(seed).standard_normal(np.shape(r))
    noise = np.where(np.abs(r) < 1e30, noise, 0.0)
    result: Array = np.asarray(r * (1 + float(np.finfo(dtype).eps) * noise)).astype(dtype)
    return result


def reference(r: Array) -> Reference:
    """Of floating-point numbers in float32; or of the integers or bools that `r` holds."""
    if r.dtype.kind in "iub":
        return make_reference(None, r, [r] * 4, r.dtype.name)
    runs = [faithful(r, seed) for seed in range(5)]
    return make_reference(r, runs[0], runs[1:], "float32")


def of(r: Array, y: Array, **others: tuple[Array, Array | None]) -> tuple[list[str], bool]:
    """Hints on the output `y` of input set "first"; others: (r, y) of further input sets, y None where it passed."""
    sets = [seen("first", {"": r}, {"": y})]
    sets += [seen(name, {"": a}, {} if b is None else {"": b}) for name, (a, b) in others.items()]
    return hints(sets, "first")


def seen(name: str, r: Mapping[str, Array], y: Mapping[str, Array], again: Mapping[str, Array] | None = None) -> Seen:
    """An input set with its outputs by path."""
    return Seen(name, {path: reference(array) for path, array in r.items()}, y, again or {})
