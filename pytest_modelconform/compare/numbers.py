"""Floating-point formats, and the words of a measurement: what a position is, and what a pass over a tensor found."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .groups import Array, Layout, Tile

HUGE = 1e30  # from here on values are compared relatively only: masks such as finfo.min would hide everything else
MOST_BITS = 60.0  # shown for a result without any error
MOST_LOST = 999.0  # shown for an error beyond all measure
BINS = 12  # of a histogram: errors up to 2**0, 2**1, ... 2**10 times the noise, and larger ones

# What a position is, where it isn't ordinary (0). Kept as one byte an element, and only if there are any.
AS_EAGER = 1  # eager is NaN or infinite here: so must the result be, and no number is compared
LEFT_OUT = 2  # only float64 is NaN or infinite here: the result must be finite, and no number is compared
UNSTABLE = 3  # eager's noisy runs disagree here: the result must be finite, as these are, and no number is compared
RELATIVE = 4  # |r| >= 1e30: compared by element, left out of all groups
WILD = 5  # eager's runs are NaN or infinite here, and not all of them alike: nothing is compared


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


def log2(value: float) -> float:
    """Take the logarithm of a number that may be 0 or infinite; the result is finite."""
    return math.log2(value) if 0.0 < value < math.inf else (-1100.0 if value <= 0.0 else 1100.0)


def lost(ratio: float) -> float:
    """Take log2 of an error in units of the noise, within what is shown."""
    return max(-MOST_BITS, min(MOST_LOST, log2(ratio)))
