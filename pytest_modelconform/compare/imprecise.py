"""Between faithful and wrong: whether a tensor that fails by noise is close on its own scale, and what of it is lost.

What is close may still have a cause (an epsilon, a factor): that is asked elsewhere, `cells/diagnosing.py`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .closeness import compared
from .groups import Array, Floats, GroupSums
from .numbers import RELATIVE, Numbers, layout_of, log2
from .reference import Reference


class Scale(NamedTuple):
    """What is close. bits: the least effective bits. element, group: the most that one may be off.

    An element relative to its size, which is the greater of itself and the tensor's root mean square. A group relative
    to its own root mean square, or by `_UNITS` of the tensor's last place: so that wrong scores don't hide behind large
    boxes, and what a sigmoid rounds away in its tails does no harm.
    """

    bits: float
    element: float
    group: float


# By dtype; what isn't here is never close. float32's was chosen with what ONNX Runtime's sigmoid loses in mind (right
# to 1e-7 absolutely: 21 bits of CREPE's outputs) and lies 3 bits above what float16 or TF32 arithmetic leaves.
# float64's is 20 bits above float32's arithmetic; float16's leaves it 3 of its 11 bits to lose. Both are to be
# confirmed by measurement. bfloat16 has too few bits for anything between right and wrong.
SCALES: dict[str, Scale] = {
    "float64": Scale(45.0, 2.0**-43, 2.0**-20),
    "complex128": Scale(45.0, 2.0**-43, 2.0**-20),
    "float32": Scale(16.0, 2.0**-14, 2.0**-6),
    "complex64": Scale(16.0, 2.0**-14, 2.0**-6),
    "float16": Scale(8.0, 2.0**-6, 2.0**-4),
}
_UNITS = 8.0
# Magnitudes are looked at in bands of so many powers of two: a factor of 16.
_BAND = 4
_FIRST, _BANDS = -1100 // _BAND, 2200 // _BAND


def is_close(values: Array, reference: Reference, numbers: Numbers) -> bool:
    """Whether a measured tensor of kind "float" that isn't faithful is close on its own scale."""
    scale = SCALES.get(reference.dtype)
    if scale is None or reference.reduced or reference.signal is None or numbers.bits is None:
        return False
    rms = float(reference.signal[0])
    if numbers.bits < scale.bits or not rms > 0.0:
        return False
    layout = layout_of(reference.shape, reference.dtype)
    sums = GroupSums(layout)
    with np.errstate(all="ignore"):
        for tile in layout.tiles():
            r, errors = compared(values, reference, tile)
            if (errors > scale.element * np.maximum(np.abs(r), rms)).any():
                return False
            if reference.codes is not None:
                np.putmask(errors, reference.codes[tile.start : tile.stop] == RELATIVE, 0.0)
            sums.add(tile, errors * errors)
        counts = layout.counts() if reference.counts is None else reference.counts
        off = np.sqrt(sums.totals() / np.maximum(counts, 1.0))
        may_be_off = np.maximum(scale.group * reference.signal, _UNITS * reference.format.roundoff * rms)
    return not (off > may_be_off).any()


def what_is_lost(values: Array, reference: Reference, numbers: Numbers) -> str:
    """In words: "right to 21 bits of the tensor's scale; values below 1e-06 keep 9 bits".

    The bits of values below a magnitude are signal over error, as of the whole tensor, of these alone. The magnitude is
    the greatest below which half of the tensor's bits are gone; where there is none, what is lost is spread over all.
    """
    bits = numbers.bits or 0.0
    said = f"right to {math.floor(bits)} bits of the tensor's scale"
    signal, error = _by_magnitude(values, reference)
    below = [
        (band, log2(signal_below) / 2 - log2(error_below) / 2)
        for band, signal_below, error_below in zip(
            range(1, _BANDS + 1), np.cumsum(signal).tolist(), np.cumsum(error).tolist(), strict=True
        )
        if signal_below > 0.0 and error_below > 0.0 and signal[band - 1] > 0.0
    ]
    half = [(band, kept) for band, kept in below if kept <= bits / 2]
    if not half:
        return said
    band, kept = half[-1]
    return f"{said}; values below {2.0 ** ((band + _FIRST) * _BAND):.0e} keep {max(math.floor(kept), 0)} bits"


def _by_magnitude(values: Array, reference: Reference) -> tuple[Floats, Floats]:
    """Sums of r² and of (y - r)² by bands of |r|; without zeros and what is compared by itself."""
    signal, error = np.zeros(_BANDS), np.zeros(_BANDS)
    with np.errstate(all="ignore"):
        for tile in layout_of(reference.shape, reference.dtype).tiles():
            r, errors = compared(values, reference, tile)
            counted = r != 0.0
            if reference.codes is not None:
                counted &= reference.codes[tile.start : tile.stop] == 0
            r, errors = r[counted], errors[counted]
            # frexp: 2**(e - 1) <= |r| < 2**e.
            bands = ((np.frexp(r)[1] - 1) // _BAND) - _FIRST
            signal += np.bincount(bands, r * r, _BANDS)
            error += np.bincount(bands, errors * errors, _BANDS)
    return signal, error
