"""One pass over a tensor that measures it against its reference."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .groups import Array, Floats, GroupSums, Tile

if TYPE_CHECKING:
    from .reference import Reference
from .numbers import (
    AS_EAGER,
    BINS,
    FLOAT_FORMATS,
    MOST_BITS,
    MOST_LOST,
    RELATIVE,
    WILD,
    Numbers,
    layout_of,
    log2,
    lost,
    piece,
)

FLOAT_FORMATS |= {"complex64": FLOAT_FORMATS["float32"], "complex128": FLOAT_FORMATS["float64"]}


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
    strange &= codes != WILD
    return strange
