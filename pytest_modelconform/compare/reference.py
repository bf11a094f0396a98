"""The reference of one output tensor: what eager returns, in float64 and in the case's dtype, and how noisy that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .groups import Array, Tile
from .numbers import (
    AS_EAGER,
    FLOAT_FORMATS,
    WILD,
    FloatFormat,
    Numbers,
    piece,
)

_EAGER = ("bits", "loss", "worst", "max_abs", "histogram")
_ARRAYS = ("eager", "r", "floor", "codes", "signal", "noise", "counts")
# What a reference without some elements is called, and what it has of its own.
_PARTS = ("rest", "unmasked")
_OF_PART = ("floor", "codes", "signal", "noise", "counts")


@dataclass(frozen=True, eq=False)
class Reference:
    """What one output tensor is compared with. Arrays are flat; complex tensors are pairs of real numbers.

    kind: "float", "exact" (integers, bool), "tolerance" (no pure float64 run: rtol and atol by dtype), "empty",
    "unstable" (rounding decides how many elements there are: their numbers are not compared).
    dtype, shape: eager's output in the case's dtype, by PyTorch's names.
    eager: eager's output. r: the float64 output, 0 where it isn't compared.
    floor: by element, the error that counts as 2**0: max(n_i, min over groups of N_g, 2 u |r_i|).
    codes: by element, what isn't ordinary (see measure.py); None if nothing is.
    signal, noise, counts: by group, S_g, N_g and the number of elements (None: all of them).
    reference_bits: log2(S / N) of the whole tensor. eager_numbers: how eager itself compares with r.
    unstable: the number of elements that are left out since eager's noisy runs disagree there.
    reduced: the noise is not that of `dtype` but of bfloat16 arithmetic.
    blind: what it is that tells right from wrong as little as a constant ("zero everywhere"), or "". It is compared.
    source: whose numbers these are, as messages say it: "PyTorch gives 0.5".
    lengths: of "unstable", the least and the greatest length of each dimension, none for any. finite: that no run of
    it had NaN or infinity. allowed: of "exact", the least and the greatest number that an element may be which
    rounding decides; None for any.
    rest: what a result has to agree with, too: the same without elements that are so large that they hide the others
    (masks of -1e9 among logits); None where no element hides any. See compare/hidden.py.
    unmasked: the same for tolerances that are a share of the tensor's size, without masks; None where there are none.
    """

    kind: str
    dtype: str
    shape: tuple[int, ...]
    eager: Array
    r: Array | None = None
    floor: Array | None = None
    codes: Array | None = None
    signal: Array | None = None
    noise: Array | None = None
    counts: Array | None = None
    reference_bits: float | None = None
    unstable: int = 0
    eager_numbers: Numbers = field(default_factory=Numbers)
    reduced: bool = False
    blind: str = ""
    source: str = "PyTorch"
    lengths: tuple[tuple[int, int], ...] = ()
    finite: bool = False
    allowed: tuple[int, int] | None = None
    rest: Reference | None = None
    unmasked: Reference | None = None

    @property
    def ill_conditioned(self) -> bool:
        """Return whether the noise hides much of what could be compared."""
        if self.reduced:
            return False  # of bfloat16's noise there is always much, and it says nothing about the case
        return self.reference_bits is not None and self.reference_bits < max(4, self.format.precision - 7)

    @property
    def format(self) -> FloatFormat:
        """Return the format of the numbers of a reference that isn't "exact"."""
        return FLOAT_FORMATS[self.dtype]

    def said_by(self, source: str) -> Reference:
        """Return the same with another name for those whose numbers these are."""
        rest, unmasked = (None if part is None else part.said_by(source) for part in (self.rest, self.unmasked))
        return replace(self, source=source, rest=rest, unmasked=unmasked)

    def r_of(self, tile: Tile) -> Array:
        """Return what a tile of the result is compared with: float64, without NaN or infinity."""
        if self.r is not None:
            return self.r[tile.start : tile.stop]
        values = piece(self.eager, tile).astype(np.float64)
        if self.codes is not None:
            codes = self.codes[tile.start : tile.stop]
            values[(codes == AS_EAGER) | (codes == WILD)] = 0.0
        return values

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return (what goes into JSON, arrays of dtypes that every format stores)."""
        numbers = self.eager_numbers
        meta = {
            "kind": self.kind,
            "dtype": self.dtype,
            "shape": list(self.shape),
            "reference_bits": self.reference_bits,
            "unstable": self.unstable,
            "reduced": self.reduced,
            "blind": self.blind,
            "source": self.source,
            "eager": {name: getattr(numbers, name) for name in _EAGER},
            "lengths": list(map(list, self.lengths)),
            "finite": self.finite,
            "allowed": None if self.allowed is None else list(self.allowed),
            **dict.fromkeys(_PARTS),
        }
        arrays = {name: array for name in _ARRAYS if (array := getattr(self, name)) is not None}
        for part, without in self._parts():
            about, found = without.to_arrays()
            meta[part] = {name: about[name] for name in ("reference_bits", "unstable", *_PARTS)}
            arrays |= {f"{part}.{name}": array for name, array in found.items() if name.rpartition(".")[2] in _OF_PART}
        if arrays["eager"].dtype.isbuiltin != 1:
            arrays["eager"] = arrays["eager"].view(f"u{arrays['eager'].dtype.itemsize}")
        return meta, arrays

    def _parts(self) -> list[tuple[str, Reference]]:
        return [(name, part) for name in _PARTS if (part := getattr(self, name)) is not None]

    @classmethod
    def from_arrays(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Reference:
        """Undo `to_arrays`; the arrays may be read-only memory maps."""
        loaded = {name: np.asarray(arrays[name]) for name in _ARRAYS if name in arrays}
        if meta["dtype"] == "bfloat16" or meta["dtype"].startswith("float8"):
            import ml_dtypes

            loaded["eager"] = loaded["eager"].view(getattr(ml_dtypes, meta["dtype"]))
        counts = meta["eager"].get("histogram")
        parts: dict[str, Reference] = {}
        for part in _PARTS:
            if meta.get(part):
                begin = f"{part}."
                own = {name.removeprefix(begin): array for name, array in arrays.items() if name.startswith(begin)}
                shared = {name: arrays[name] for name in ("eager", "r") if name in arrays}
                parts[part] = cls.from_arrays({**meta, **dict.fromkeys(_PARTS), **meta[part]}, {**shared, **own})
        return cls(
            kind=meta["kind"],
            dtype=meta["dtype"],
            shape=tuple(meta["shape"]),
            reference_bits=meta["reference_bits"],
            unstable=meta["unstable"],
            reduced=meta["reduced"],
            blind=meta["blind"],
            source=meta.get("source", "PyTorch"),
            eager_numbers=Numbers(**{**meta["eager"], "histogram": None if counts is None else tuple(counts)}),
            lengths=tuple((least, most) for least, most in meta.get("lengths") or ()),
            finite=meta.get("finite", False),
            allowed=None if (allowed := meta.get("allowed")) is None else (allowed[0], allowed[1]),
            rest=parts.get("rest"),
            unmasked=parts.get("unmasked"),
            **loaded,
        )
