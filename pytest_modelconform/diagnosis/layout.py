"""The model's values at other places: axes permuted or flipped, other shapes, rows in another order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from .judge import ENOUGH, Judge, agreement, distinct, subscript
from .sentences import shape

_NAMES = {
    (0, 2, 3, 1): "NHWC instead of NCHW",
    (0, 3, 1, 2): "NCHW instead of NHWC",
    (0, 2, 3, 4, 1): "NDHWC instead of NCDHW",
    (0, 4, 1, 2, 3): "NCDHW instead of NDHWC",
    (1, 0): "transposed",
    (1, 0, 2): "batch and sequence swapped?",
}
_MOST_ROWS = 4096


def permuted(judge: Judge) -> str | None:
    """Axes in another order."""
    for order in _orders(judge.model.ndim):
        if judge.y.shape != tuple(judge.model.shape[axis] for axis in order):
            continue
        if judge.explains(judge.y.transpose(np.argsort(order))):
            return f"has the model's values with its axes permuted {order}{_name(order)}"
    return None


def misread(judge: Judge) -> str | None:
    """The right shape around memory that is in another order: strides that somebody did not look at."""
    if judge.y.shape != judge.model.shape:
        return None
    for order in _orders(judge.model.ndim):
        lengths = tuple(judge.model.shape[axis] for axis in order)
        if judge.explains(judge.y.reshape(lengths).transpose(np.argsort(order))):
            return (
                f"has the model's values in the memory order {order}{_name(order)}: a transposed tensor was read as if "
                "it were row-major, or the reverse"
            )
    return None


def reshaped(judge: Judge) -> str | None:
    """The same values in another shape."""
    y, model = judge.y.shape, judge.model.shape
    if y == model or judge.y.size != judge.model.size or not judge.explains(judge.y.reshape(model)):
        return None
    without = [[length for length in lengths if length != 1] for lengths in (y, model)]
    if without[0] == without[1] and len(y) != len(model):
        change = "an axis of length 1 is missing" if len(y) < len(model) else "an axis of length 1 too many"
    else:
        change = "flattened" if len(y) == 1 else "reshaped"
    return f"has the model's values in shape {shape(y)} instead of {shape(model)}: {change}"


def cut(judge: Judge) -> str | None:
    """Only a part of the values, or more than them."""
    y, model = judge.y.shape, judge.model.shape
    if y == model or len(y) != len(model) or not all(y) or judge.exact:
        return None
    common = tuple(slice(0, min(pair)) for pair in zip(y, model, strict=True))
    part = judge.compared[common]
    one, two = judge.y[common][part], judge.model[common][part]
    if not distinct(two, 4) or agreement(one, two) < 2 * ENOUGH:
        return None
    axis = next(a for a in range(len(y)) if y[a] != model[a])
    if all(a <= b for a, b in zip(y, model, strict=True)):
        return f"has only the first {y[axis]} of {model[axis]} along axis {axis}; these are the model's"
    return f"has the model's values and more: {y[axis]} along axis {axis} instead of {model[axis]} (padding?)"


def flipped(judge: Judge) -> str | None:
    """An axis the other way round."""
    for axis, length in enumerate(judge.model.shape):
        if length > 1 and judge.y.shape == judge.model.shape and judge.explains(np.flip(judge.y, axis)):
            swapped = " (channels in another order, as RGB and BGR?)" if length == 3 else ""
            return f"has the model's values with axis {axis} reversed{swapped}"
    return None


def rolled(judge: Judge) -> str | None:
    """Everything moved along an axis: by one, or by half."""
    if judge.y.shape != judge.model.shape:
        return None
    for axis, length in enumerate(judge.model.shape):
        for step in dict.fromkeys((1, -1, length // 2)):
            if length > 2 and judge.explains(np.roll(judge.y, -step, axis)):
                return f"has the model's values rolled by {step} along axis {axis}"
    for axis, length in enumerate(judge.model.shape):
        for step in (1, -1):
            if length > 4 and _shifted(judge, axis, step):
                return f"has the model's values moved by {step} along axis {axis}"
    return None


def _shifted(judge: Judge, axis: int, step: int) -> bool:
    """As rolled, but something else came in at the end."""
    undone = np.roll(judge.y, -step, axis)
    edge = subscript(axis, -1 if step > 0 else 0, judge.y.ndim)
    undone[edge] = judge.model[edge]
    return judge.explains(undone)


def reordered(judge: Judge) -> str | None:
    """Rows of an axis in another order, each as a whole."""
    if judge.y.shape != judge.model.shape or judge.model.dtype.kind == "c":
        return None
    for axis, length in enumerate(judge.model.shape):
        if not 1 < length <= _MOST_ROWS or not np.isfinite(judge.model).all():
            continue
        rows, wanted = (np.moveaxis(array, axis, 0).reshape(length, -1) for array in (judge.y, judge.model))
        # Equal rows have equal projections; that they are no others is for `explains` to say.
        weights = np.random.default_rng(0).standard_normal(rows.shape[1])
        undone = np.empty_like(rows)
        undone[np.argsort(wanted @ weights, kind="stable")] = rows[np.argsort(rows @ weights, kind="stable")]
        restored = np.moveaxis(undone.reshape(np.moveaxis(judge.y, axis, 0).shape), 0, axis)
        # Sorted random numbers of any origin look alike, so that only what passes counts.
        if judge.explains(restored, strict=True):
            return f"has the model's values with the rows of axis {axis} in another order"
    return None


def _orders(dimensions: int) -> Iterator[tuple[int, ...]]:
    if 2 <= dimensions <= 5:
        identity = tuple(range(dimensions))
        known = [order for order in _NAMES if len(order) == dimensions]
        yield from known
        yield from (order for order in permutations(identity) if order != identity and order not in known)


def _name(order: tuple[int, ...]) -> str:
    return f": {_NAMES[order]}" if order in _NAMES else ""
