"""Most of an output is right: which rows of it aren't, and what is in them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ..compare import Reference
from ..compare.groups import Array
from ..compare.numbers import is_complex
from ..terms.tolerances import limits
from .judge import LUCK, Judge, Seen, agreement, distinct, subscript

_FEW = 3  # wrong rows that are named one by one
_MOSTLY = 0.25  # share of a wrong row's elements that have to be wrong: less is no matter of rows
_COPIED = 12.0  # bits that a row and the one it is said to be have in common


def wrong_rows(judge: Judge, others: Sequence[Seen], path: str, exported: Reference | None) -> str | None:
    """A few rows, or all from some index on, are wrong, and all others are right.

    others: the other input sets. exported: the reference of this output in the exporters' set, if that is another.
    """
    if judge.y.shape != judge.model.shape or is_complex(judge.reference.dtype):
        return None
    wrong = off(judge)
    best: tuple[float, str] | None = None
    for axis, length in enumerate(wrong.shape):
        elsewhere = tuple(a for a in range(wrong.ndim) if a != axis)
        share = wrong.mean(elsewhere)
        rows = np.flatnonzero(share)
        if length < 3 or not 0 < rows.size < length or share[rows].min() < _MOSTLY:
            continue
        if judge.y.size // length < 2 or not distinct(np.delete(judge.model, rows, axis), 4):
            continue
        which = _which(rows, length, axis)
        # Few errors anywhere happen to leave some rows alone, too.
        if which is None or wrong.sum() * math.log2(length / rows.size) < LUCK:
            continue
        where = _explain(judge, rows, axis, others, path, exported)
        if judge.close and not where:
            continue  # what is close has lost its bits somewhere, and where is no cause
        if best is None or rows.size / length < best[0]:
            best = rows.size / length, f"is wrong only in {which}{where}; all else is the model's"
    return best[1] if best else None


def off(judge: Judge) -> Array:
    """Where elements are beyond tolerance, in the tensor's shape. For the same shapes, and no complex numbers."""
    y, r = judge.y, judge.model
    if judge.exact:
        differs: Array = (y != r) & judge.compared
        return differs
    limit = _limit(judge)
    same = (y == r) | (np.isnan(y) & np.isnan(r)) | ~judge.compared & np.isfinite(y) & np.isfinite(r)
    wrong: Array = ~same & ~(np.abs(y - r) <= limit)
    return wrong


def _limit(judge: Judge) -> Array:
    """The error that an element may have: as judged by noise, or the default without."""
    reference = judge.reference
    if reference.floor is not None:
        return np.ldexp(reference.floor.astype(np.float64), int(limits(judge.tolerance, reference.dtype)[1])).reshape(
            reference.shape
        )
    rms = 0.0 if reference.signal is None else float(reference.signal[0])
    return reference.format.lenient * (np.abs(judge.model) + rms)


def _which(rows: Array, length: int, axis: int) -> str | None:
    first, last = int(rows[0]), int(rows[-1])
    if rows.size == 1:
        return f"row {first} of axis {axis} (of {length})"
    if rows.size == last - first + 1 and last == length - 1:
        return f"rows {first} to {last} of axis {axis}, the last {rows.size} of {length}"
    if rows.size == last - first + 1 and first == 0:
        return f"rows 0 to {last} of axis {axis}, the first {rows.size} of {length}"
    if rows.size <= _FEW and rows.size * 2 < length:
        return f"rows {', '.join(map(str, rows[:-1]))} and {last} of axis {axis} (of {length})"
    return None


def _explain(
    judge: Judge, rows: Array, axis: int, others: Sequence[Seen], path: str, exported: Reference | None
) -> str:
    """What is in the wrong rows, where that can be told."""
    y = np.moveaxis(judge.y, axis, 0)
    model = np.moveaxis(judge.model, axis, 0)
    if judge.y.dtype.kind == "f" and (strange := _not_finite(y[rows], np.isfinite(model[rows]))):
        return strange
    if not y[rows].any():
        return ", which are 0" if rows.size > 1 else ", which is 0"
    if rows.size <= _FEW and (copied := _copied(judge, y, model, rows)):
        return copied
    for other in others:
        reference = other.references.get(path)
        if reference is not None and _equal_rows(judge, reference, rows, axis):
            return f", which hold what the model gives for input set {other.name!r}: a constant was baked in"
    if exported is not None and len(exported.shape) > axis and exported.shape[axis] == rows[0]:
        return f" (the exporters' input set has {exported.shape[axis]} there: the length was baked in)"
    return ""


def _not_finite(y: Array, defined: Array) -> str:
    """What makes NaN or infinity, where each wrong row has some that the model doesn't have.

    defined: where the model is finite. onnxscript leaves out what it takes for 0.
    """
    nan, infinite = ((found & defined).reshape(len(y), -1).any(1).all() for found in (np.isnan(y), np.isinf(y)))
    left_out = "a small number that is added, and that the ONNX exporter leaves out up to 1e-8"
    if nan:
        return f", where NaN is (0 divided by 0: attention over masked positions only, or {left_out})"
    if infinite:
        return f", where infinity is (the logarithm of 0, or a division by 0: {left_out})"
    return ""


def _copied(judge: Judge, y: Array, model: Array, rows: Array) -> str:
    """Whether each wrong row is another one of the model's."""
    if judge.exact or y[0].size < 4:
        return ""
    found: list[str] = []
    for row in rows:
        near = [k for k in range(len(model)) if k != row and agreement(y[row].ravel(), model[k].ravel()) >= _COPIED]
        if not near:
            return ""
        found.append(f"row {near[0]} again")
    return f", which {'holds' if len(found) == 1 else 'hold'} {' and '.join(found)}"


def _equal_rows(judge: Judge, reference: Reference, rows: Array, axis: int) -> bool:
    """Whether the wrong rows are those of another input set's reference."""
    if reference.kind == "empty" or reference.kind != judge.reference.kind or len(reference.shape) != judge.y.ndim:
        return False
    other = Judge(judge.raw, reference, judge.tolerance).model
    if other.shape[axis] <= rows[-1]:
        return False
    pick = subscript(axis, [int(row) for row in rows], judge.y.ndim)
    one, two = judge.y[pick], other[pick]
    if one.shape != two.shape or one.size < 4 or not distinct(two, 4):
        return False
    return agreement(one.ravel(), two.ravel(), exact=judge.exact) >= (60.0 if judge.exact else _COPIED)


def argmax_ties(judge: Judge, references: Mapping[str, Reference]) -> str | None:
    """An index that is as good as the model's: two values are equal but for rounding."""
    if judge.y.dtype.kind not in "iu" or not judge.exact or judge.y.shape != judge.model.shape:
        return None
    wrong = (judge.y != judge.model) & judge.compared
    for path, reference in references.items():
        if reference.kind not in ("float", "tolerance") or is_complex(reference.dtype):
            continue
        scores = Judge(judge.raw, reference, judge.tolerance)
        for axis in range(len(reference.shape)):
            rest = reference.shape[:axis] + reference.shape[axis + 1 :]
            if rest != judge.y.shape or not np.array_equal(np.argmax(scores.model, axis), judge.model):
                continue
            inside = np.clip(judge.y, 0, reference.shape[axis] - 1)
            taken, best = (
                np.take_along_axis(scores.model, np.expand_dims(index.astype(np.int64), axis), axis).squeeze(axis)
                for index in (inside, judge.model)
            )
            limit = np.take_along_axis(_limit(scores), np.expand_dims(judge.model.astype(np.int64), axis), axis)
            if (inside == judge.y).all() and (np.abs(taken - best) <= limit.squeeze(axis))[wrong].all():
                return f"is another index of equal values: output{path} has ties along axis {axis}"
    return None
