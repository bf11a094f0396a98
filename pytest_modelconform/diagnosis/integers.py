"""Integers and bools: narrowed, overflowed, inverted, off by one."""

from __future__ import annotations

import numpy as np

from .judge import Judge, distinct


def narrowed(judge: Judge) -> str | None:
    """Another dtype around the same numbers."""
    dtype = judge.raw.dtype.name
    if dtype == judge.reference.dtype or judge.y.shape != judge.model.shape or judge.y.dtype.kind == "c":
        return None
    if np.array_equal(judge.y, judge.model) or (not judge.exact and judge.passes(judge.y.astype(np.float64))):
        return f"has the model's values, as {dtype} instead of {judge.reference.dtype}"
    width = 8 * judge.y.dtype.itemsize
    if _integers(judge) and judge.model.dtype.kind in "iu" and _same_modulo(judge, width):
        return f"has the model's values modulo 2^{width}: {judge.reference.dtype} was narrowed to {dtype}"
    return None


def overflowed(judge: Judge) -> str | None:
    """Equal but for multiples of a power of two, or clipped at one."""
    if not _integers(judge) or judge.raw.dtype.name != judge.reference.dtype:
        return None
    for width in (32, 16, 8):
        if 8 * judge.y.dtype.itemsize > width and _same_modulo(judge, width):
            return f"has the model's values modulo 2^{width}: computed in {width} bits, and overflowed"
        for kind in ("int", "uint"):
            limits = np.iinfo(f"{kind}{width}")
            if np.array_equal(judge.y, np.clip(judge.model, limits.min, limits.max)):
                return f"has the model's values clipped to the range of {kind}{width}"
    return None


def off_by_one(judge: Judge) -> str | None:
    """The same number more everywhere, or one more or less in places."""
    if not _integers(judge) or not distinct(judge.model, 8):
        return None
    difference = (judge.y.astype(np.float64) - judge.model)[judge.compared]
    if difference.size and (difference == difference[0]).all():
        return f"has the model's values {'plus' if difference[0] > 0 else 'minus'} {abs(difference[0]):g}"
    wrong = np.count_nonzero(difference)
    # Wrong numbers that are off by one at most are no accident where values have that many to choose from.
    if np.abs(difference).max() == 1 and wrong >= 3:
        which = "less" if difference.max() <= 0 else "more" if difference.min() >= 0 else "more or less"
        return (
            f"is one {which} in {wrong} of {judge.y.size} places: a number was rounded or cut to an integer otherwise"
        )
    return None


def inverted(judge: Judge) -> str | None:
    """True for false."""
    if judge.y.dtype.kind != "b" or judge.model.dtype.kind != "b" or judge.y.size < 8:
        return None
    return "is inverted: true where the model gives false, and the reverse" if judge.explains(~judge.y) else None


def _integers(judge: Judge) -> bool:
    return judge.exact and judge.y.dtype.kind in "iu" and judge.y.shape == judge.model.shape


def _same_modulo(judge: Judge, width: int) -> bool:
    """Whether the numbers agree in their lowest bits, and the model's need more of them."""
    one, two = (array.astype(np.int64) for array in (judge.y, judge.model))
    mask = np.int64((1 << width) - 1)
    return bool(((one & mask) == (two & mask)).all() and distinct(two & mask, 2) and (one != two).any())
