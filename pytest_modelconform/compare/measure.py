"""Floating-point formats, and one pass over a tensor that measures it against its reference."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .groups import Array, Floats, GroupSums, Layout, Tile

if TYPE_CHECKING:
    from .reference import Reference

HUGE = 1e30  # from here on values are compared relatively only: masks such as finfo.min would hide everything else
MOST_BITS = 60.0  # shown for a result without any error
MOST_LOST = 999.0  # shown for an error beyond all measure
BINS = 12  # of a histogram: errors up to 2**0, 2**1, ... 2**10 times the noise, and larger ones

# What a position is, where it isn't ordinary (0). Kept as one byte an element, and only if there are any.
AS_EAGER = 1  # eager is NaN or infinite here: so must the result be, and no number is compared
LEFT_OUT = 2  # only float64 is NaN or infinite here: the result must be finite, and no number is compared
UNSTABLE = 3  # eager's jittered runs disagree here: nothing is compared
RELATIVE = 4  # |r| >= 1e30: compared by element, left out of all groups


class FloatFormat(NamedTuple):
    """precision: significant bits, so that the unit roundoff is 2**-precision. tiny: errors up to here are no errors.

    tiny is the smallest normal number where flushing smaller ones to zero is usual, the smallest number elsewhere.
    lenient: the rtol, and atol in units of the tensor's rms, for a case without a float64 reference.
    """

    precision: int
    tiny: float
    lenient: float

    @property
    def roundoff(self) -> float:
        """Return u, the largest relative error of rounding to nearest."""
        return 2.0**-self.precision


FLOAT_FORMATS = {
    "float64": FloatFormat(53, 2.0**-1022, 1e-10),
    "float32": FloatFormat(24, 2.0**-126, 1e-4),
    "float16": FloatFormat(11, 2.0**-24, 1e-2),
    "bfloat16": FloatFormat(8, 2.0**-126, 5e-2),
    "float8_e4m3fn": FloatFormat(4, 2.0**-9, 0.25),
    "float8_e5m2": FloatFormat(3, 2.0**-16, 0.5),
}
FLOAT_FORMATS |= {"complex64": FLOAT_FORMATS["float32"], "complex128": FLOAT_FORMATS["float64"]}


def is_complex(dtype: str) -> bool:
    """Say whether a tensor of this dtype is compared as pairs."""
    return dtype.startswith("complex")


@lru_cache(maxsize=256)
def layout_of(shape: tuple[int, ...], dtype: str) -> Layout:
    """Complex tensors are compared as real pairs: a last axis of 2."""
    return Layout((*shape, 2) if is_complex(dtype) else shape)


def flat(array: Array) -> Array:
    """View a tensor's numbers as one row, complex ones as pairs; a contiguous memory map isn't copied."""
    row = np.ascontiguousarray(np.asarray(array)).reshape(-1)
    return row.view(row.real.dtype) if row.dtype.kind == "c" else row


def piece(row: Array, tile: Tile) -> Array:
    """Return a tile of `flat(...)` in a dtype that numpy's own functions take."""
    part = row[tile.start : tile.stop]
    return part if part.dtype.isbuiltin == 1 else part.astype(np.float32)  # bfloat16 and float8 are from ml_dtypes


@dataclass(frozen=True)
class Numbers:
    """What a pass over a tensor found; all but `max_abs` are log2, and None where they aren't defined.

    loss_group is the group with the greatest loss, worst_tile the tile that holds the worst element. histogram: how
    many of the compared elements are off by up to 2**0, 2**1, ... 2**10 times their noise, and by more.
    """

    bits: float | None = None
    loss: float | None = None
    worst: float | None = None
    max_abs: float | None = None
    loss_group: int = 0
    worst_tile: Tile | None = None
    histogram: tuple[int, ...] | None = None


class NotFiniteError(Exception):
    """Somewhere the result is NaN or infinite and the model isn't, or the other way round."""


def measure(values: Array, reference: Reference) -> Numbers:
    """Measure the flat `values` against a reference of kind "float". Raises NotFiniteError."""
    layout = layout_of(reference.shape, reference.dtype)
    r, floor = reference.r, reference.floor
    if r is None or floor is None or reference.noise is None:
        raise ValueError(f"a reference of kind {reference.kind!r} has no noise to measure with")
    sums = GroupSums(layout)
    max_abs = worst = 0.0
    worst_tile: Tile | None = None
    beyond = [0] * BINS  # elements that are off by more than 2**(i - 1), and, in the first place, all that are compared
    with np.errstate(all="ignore"):
        for tile in layout.tiles():
            errors, ratios = _errors(values, reference, tile)
            tile_abs = float(ratios.max())
            max_abs = max(max_abs, tile_abs)
            np.divide(ratios, floor[tile.start : tile.stop], out=ratios)
            tile_worst = float(ratios.max())
            if tile_worst > worst:
                worst, worst_tile = tile_worst, tile
            _count(beyond, ratios, tile_worst)
            if reference.codes is not None:
                codes = reference.codes[tile.start : tile.stop]
                beyond[0] -= int(np.count_nonzero(codes)) - int(np.count_nonzero(codes == RELATIVE))
                np.putmask(errors, codes == RELATIVE, 0.0)
            sums.add(tile, np.multiply(errors, errors, out=errors))
        counts = layout.counts() if reference.counts is None else reference.counts
        rms = np.sqrt(sums.totals() / np.maximum(counts, 1.0))
        losses = rms / reference.noise
    group = int(losses.argmax())
    signal = 0.0 if reference.signal is None else float(reference.signal[0])
    return Numbers(
        bits=max(-MOST_LOST, min(MOST_BITS, log2(signal) - log2(float(rms[0])))) if signal else None,
        loss=lost(float(losses[group])),
        worst=lost(worst),
        max_abs=min(max_abs, float(np.finfo(np.float64).max)),
        loss_group=group,
        worst_tile=worst_tile,
        histogram=tuple(more - most for more, most in zip(beyond, [*beyond[1:], 0], strict=True)),
    )


def _count(beyond: list[int], ratios: Floats, greatest: float) -> None:
    """Add a tile to the counts of a histogram. Two or three comparisons for what is faithful: it stays near 2**0."""
    beyond[0] += ratios.size
    for place in range(1, BINS):
        if greatest <= (bound := 2.0 ** (place - 1)):
            return
        beyond[place] += int(np.count_nonzero(ratios > bound))


def worst_position(values: Array, reference: Reference, numbers: Numbers) -> int:
    """Return the position, in the flattened tensor, of the worst element of a measured result."""
    tile = numbers.worst_tile
    if tile is None or reference.floor is None:
        return 0
    with np.errstate(all="ignore"):
        _, ratios = _errors(values, reference, tile)
        return tile.start + int((ratios / reference.floor[tile.start : tile.stop]).argmax())


def _errors(values: Array, reference: Reference, tile: Tile) -> tuple[Floats, Floats]:
    """Return (y - r, |y - r|) of a tile, 0 where nothing is compared. Raises NotFiniteError."""
    r = reference.r_of(tile)
    errors = np.subtract(piece(values, tile), r, dtype=np.float64)
    if reference.codes is not None:
        codes = reference.codes[tile.start : tile.stop]
        if codes.any():
            if strange_in(values, reference, tile).any():
                raise NotFiniteError
            np.putmask(errors, (codes != 0) & (codes != RELATIVE), 0.0)  # by mask: 2.5 times the time
    absolute = np.abs(errors)
    if not math.isfinite(absolute.max()):
        if strange_in(values, reference, tile).any():
            raise NotFiniteError
        np.nan_to_num(errors, copy=False)  # a difference of two finite numbers that overflows
        absolute = np.abs(errors)
    return errors, absolute


def strange_in(values: Array, reference: Reference, tile: Tile) -> Array:
    """Find where in a tile the result is NaN or infinite and the model isn't, or the other way round."""
    y = piece(values, tile)
    strange: Array = ~np.isfinite(y)
    if reference.codes is None:
        return strange
    codes = reference.codes[tile.start : tile.stop]
    as_eager = codes == AS_EAGER
    if as_eager.any():
        eager = piece(reference.eager, tile)
        differs = y != eager
        differs &= (y == y) | (eager == eager)  # two NaN are the same here
        strange = np.where(as_eager, differs, strange)
    strange &= codes != UNSTABLE
    return strange


def log2(value: float) -> float:
    """Take the logarithm of a number that may be 0 or infinite; the result is finite."""
    return math.log2(value) if 0.0 < value < math.inf else (-1100.0 if value <= 0.0 else 1100.0)


def lost(ratio: float) -> float:
    """Take log2 of an error in units of the noise, within what is shown."""
    return max(-MOST_BITS, min(MOST_LOST, log2(ratio)))
