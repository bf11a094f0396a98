"""A tolerance as rtol and atol, a cosine, or bits: how close a tensor comes to its reference."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .groups import SMALLEST_GROUP, Array, GroupSums, Tile
from .numbers import MOST_BITS, RELATIVE, layout_of, log2, piece
from .reference import Reference

# Where so many bits are asked for of a tensor, no group may have fewer than that: scores in a column beside boxes in
# pixels are no more than the boxes' last bits. (Measured: of 333 outputs of the zoo that keep what is asked of
# `onnx-fp16` and `onnx-int8`, the worst group has 2.4. Of sets by which a format wasn't calibrated, many groups have
# none.)
LEAST_ASKED, LEAST_OF_GROUP = 2.0, 1.0
# Of the tensor's rms: what is smaller has no step of its own in a format of 8 bits by tensor, nor 16 times that.
_STEPLESS = 2.0**-12
_FAITHFUL = 2.0**2  # times the noise
# What float16 has no room for is written as its largest number (-65504 for a mask of -3.4e38).
_SATURATED = 65504.0


@dataclass
class Closeness:
    """What a pass with rtol and atol found: how many elements are beyond, the worst, and what would be enough."""

    count: int = 0
    position: int = 0
    beyond: float = -math.inf
    rtol: float = 0.0
    atol: float = 0.0
    max_abs: float = 0.0


def closeness(values: Array, reference: Reference, rtol: float, atol: float) -> Closeness:
    """Measure |y - r| <= atol + rtol |r| in one pass, element by element."""
    close = Closeness()
    most = float(np.finfo(np.float64).max)
    with np.errstate(all="ignore"):
        for tile in layout_of(reference.shape, reference.dtype).tiles():
            r, errors = compared(values, reference, tile)
            size = np.abs(r)
            beyond = errors - (atol + rtol * size)
            close.max_abs = max(close.max_abs, min(float(errors.max()), most))
            if (greatest := float(beyond.max())) > close.beyond:
                close.beyond, close.position = greatest, tile.start + int(beyond.argmax())
            if greatest > 0.0:
                over = beyond > 0.0
                close.count += int(over.sum())
                close.atol = max(close.atol, float((errors - rtol * size)[over].max()))
                close.rtol = max(close.rtol, float(((errors - atol) / size)[over].max()))
    return close


def compared(values: Array, reference: Reference, tile: Tile) -> tuple[Array, Array]:
    """Return (r, |y - r|) of a tile, 0 where nothing is compared; NaN and infinities have been dealt with."""
    r = reference.r_of(tile)
    errors = np.abs(np.subtract(piece(values, tile), r, dtype=np.float64))
    if reference.codes is not None:
        codes = reference.codes[tile.start : tile.stop]
        np.putmask(errors, (codes != 0) & (codes != RELATIVE), 0.0)
    return r, errors


def cosine_similarity(values: Array, reference: Reference) -> float:
    """y·r / (‖y‖ ‖r‖) over the ordinary elements, from -1 to 1; 1 where both are zero."""
    dot = length = r_length = 0.0
    with np.errstate(all="ignore"):
        for tile in layout_of(reference.shape, reference.dtype).tiles():
            r, y = reference.r_of(tile), piece(values, tile).astype(np.float64)
            if reference.codes is not None:
                ordinary = reference.codes[tile.start : tile.stop] == 0
                r, y = r[ordinary], y[ordinary]
            dot += float((y * r).sum())
            length += float((y * y).sum())
            r_length += float((r * r).sum())
    if not length or not r_length:
        return 1.0 if length == r_length else 0.0
    cosine = dot / math.sqrt(length) / math.sqrt(r_length)
    return max(-1.0, min(1.0, cosine)) if math.isfinite(cosine) else 0.0


@dataclass(frozen=True)
class RightBits:
    """How many bits of a tensor are right: log2(rms(r) / rms(y - r)), within `MOST_BITS` either way.

    least: the fewest of a group, with `group`; `MOST_BITS` where there is none that tells.
    """

    bits: float
    least: float
    group: int


def right_bits(values: Array, reference: Reference) -> RightBits:
    """Measure a tensor and its groups, over the ordinary elements.

    No group of few elements tells, none of numbers so small beside the others that what quantises has no step for them,
    and none within the noise of faithful arithmetic.
    """
    layout = layout_of(reference.shape, reference.dtype)
    sums = [GroupSums(layout) for _ in range(3)]
    with np.errstate(all="ignore"):
        for tile in layout.tiles():
            r, errors = compared(values, reference, tile)
            ordinary = np.ones(r.size)
            if reference.codes is not None:
                ordinary = (reference.codes[tile.start : tile.stop] == 0).astype(np.float64)
                r, errors = r * ordinary, errors * ordinary
            for of_group, terms in zip(
                sums, (np.square(r, dtype=np.float64), np.square(errors), ordinary), strict=True
            ):
                of_group.add(tile, terms)
        signal, error, counts = (of_group.totals() for of_group in sums)
        bits = [_right_bits(*pair) for pair in zip(signal.tolist(), error.tolist(), strict=True)]
        counts = np.maximum(counts, 1.0)
        tells = (counts >= SMALLEST_GROUP) & (signal / counts > signal[0] / counts[0] * _STEPLESS**2)
        if reference.noise is not None:
            tells &= np.sqrt(error / counts) > _FAITHFUL * reference.noise
    tells[0] = False
    least, group = min(((bits[i], i) for i in np.flatnonzero(tells).tolist()), default=(MOST_BITS, 0))
    return RightBits(bits[0], least, group)


@dataclass(frozen=True)
class HugeBits:
    """How many bits are right of the worst of the numbers that no group holds: -log2(|y - r| / |r|), and its position.

    `MOST_BITS` where there are none, or all are right. What float16 has no room for may be its largest number.
    """

    bits: float
    position: int


def huge_bits(values: Array, reference: Reference) -> HugeBits:
    """Measure each of the numbers of 1e30 and more: they are masks, of which none may be lost."""
    worst, position = 0.0, 0
    if reference.codes is None or not (reference.codes == RELATIVE).any():
        return HugeBits(MOST_BITS, 0)
    with np.errstate(all="ignore"):
        for tile in layout_of(reference.shape, reference.dtype).tiles():
            there = np.flatnonzero(reference.codes[tile.start : tile.stop] == RELATIVE)
            if not there.size:
                continue
            r, errors = (part[there] for part in compared(values, reference, tile))
            relative = errors / np.abs(r)
            relative[piece(values, tile)[there] == np.copysign(_SATURATED, r)] = 0.0
            if (greatest := float(relative.max())) > worst:
                worst, position = greatest, tile.start + int(there[relative.argmax()])
    return HugeBits(max(-MOST_BITS, min(MOST_BITS, 0.0 - log2(worst))), position)


def _right_bits(signal: float, error: float) -> float:
    if not error:
        return MOST_BITS
    if not signal or not math.isfinite(error):
        return -MOST_BITS
    return max(-MOST_BITS, min(MOST_BITS, 0.5 * (math.log2(signal) - math.log2(error))))


def worst_of_group(values: Array, reference: Reference, group: int) -> int:
    """The position, in the flattened tensor, of the element of a group that is off by most."""
    layout = layout_of(reference.shape, reference.dtype)
    name = layout.name(group)
    positions = np.arange(layout.size)
    if name is not None:
        axis, index = name
        positions = positions.reshape(layout.shape).take(index, axis).reshape(-1)
    with np.errstate(all="ignore"):
        errors = np.concatenate([compared(values, reference, tile)[1] for tile in layout.tiles()])
    return int(positions[errors[positions].argmax()])
