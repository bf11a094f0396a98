"""A tolerance as rtol and atol, a cosine, or bits: how close a tensor comes to its reference."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .groups import Array, Tile
from .numbers import MOST_BITS, RELATIVE, layout_of, piece
from .reference import Reference


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


def right_bits(values: Array, reference: Reference) -> float:
    """log2(rms(r) / rms(y - r)) over the ordinary elements; at most `MOST_BITS`, and -`MOST_BITS` where r is zero."""
    signal = error = 0.0
    with np.errstate(all="ignore"):
        for tile in layout_of(reference.shape, reference.dtype).tiles():
            r, errors = compared(values, reference, tile)
            if reference.codes is not None:
                ordinary = reference.codes[tile.start : tile.stop] == 0
                r, errors = r[ordinary], errors[ordinary]
            signal += float(np.square(r, dtype=np.float64).sum())
            error += float(np.square(errors).sum())
    if not error:
        return MOST_BITS
    if not signal or not math.isfinite(error):
        return -MOST_BITS
    return max(-MOST_BITS, min(MOST_BITS, 0.5 * (math.log2(signal) - math.log2(error))))
