"""What a script compares with: for each element what is expected, and how far off it may be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..cells.pairs import REAL
from ..compare import Reference, flatten
from ..compare.difference import FEW_ELEMENTS, FEW_OF_REST, LEVELS
from ..compare.numbers import AS_EAGER, LEFT_OUT, RELATIVE, UNSTABLE, WILD, layout_of
from ..references.prepared import InputSet
from ..terms.case import Tolerance
from ..terms.tolerances import is_explicit, limits

Arrays = dict[str, Any]


def of_set(entry: InputSet, tolerance: Tolerance, narrows: Mapping[str, str]) -> tuple[dict[str, Any], Arrays]:
    """What a script says of an input set's outputs, and the arrays that it reads.

    An output is called `output` and its path. Where a case is judged in groups of elements, this is the whole tensor
    and each element: enough to show a failure, but not each failure that a cell can have.
    """
    stated: dict[str, Any] = {}
    arrays: Arrays = {}
    keys = flatten(entry.outputs)[1]
    for path, reference in entry.references.items():
        name = f"output{keys[path]}"
        expected, allowed, rms = _of_reference(reference, tolerance)
        shape = layout_of(reference.shape, reference.dtype).shape
        arrays[name], arrays[f"{name} allowed"] = expected.reshape(shape), allowed.reshape(shape)
        dtypes = [reference.dtype, *([narrows[reference.dtype]] if reference.dtype in narrows else [])]
        stated[name] = {"dtypes": dtypes, "shape": list(reference.shape), "rms": rms, "cosine": tolerance.cosine}
        if not (tolerance.cosine is not None and reference.kind == "float"):
            stated[name]["cosine"] = None
        stated[name]["parts"] = _parts(reference, tolerance, expected)
    return stated, arrays


def as_pairs(stated: Mapping[str, Any]) -> dict[str, Any]:
    """What a script says of an output, where the artifact returns complex numbers as pairs (cells/pairs.py)."""
    if stated["dtypes"][0] not in REAL:
        return dict(stated)
    return {**stated, "dtypes": [REAL[name] for name in stated["dtypes"]], "shape": [*stated["shape"], 2]}


def _of_reference(reference: Reference, tolerance: Tolerance) -> tuple[Any, Any, float]:
    eager = np.asarray(reference.eager)
    if reference.kind in ("exact", "empty"):
        levels = tolerance.levels if tolerance.levels is not None and reference.dtype in LEVELS else 0.0
        allowed = np.full(eager.shape, levels, np.float32)
        if reference.kind == "empty":
            allowed[...] = np.inf
        if reference.codes is not None:
            allowed[reference.codes == UNSTABLE] = np.inf
        return eager, allowed, math.inf
    plain = eager.astype(np.float64)
    expected = plain if reference.r is None else reference.r.astype(np.float64)
    if (
        tolerance.rtol is not None
        or tolerance.atol is not None
        or (reference.kind == "tolerance" and not is_explicit(tolerance))
    ):
        allowed, rms = _as_said(reference, tolerance, expected), math.inf
    elif tolerance.bits is not None:
        # Any single element may be off, and is counted.
        allowed = np.full(expected.shape, np.finfo(np.float32).max, np.float32)
        signal = math.sqrt(float(np.square(plain).mean())) if reference.signal is None else float(reference.signal[0])
        rms = signal * 2.0**-tolerance.bits
    elif tolerance.cosine is not None or reference.floor is None or reference.noise is None:
        allowed, rms = np.full(expected.shape, np.inf, np.float32), math.inf
    else:
        bits_lost, worst = limits(tolerance, reference.dtype)
        grace = 1.0 if math.prod(reference.shape) < FEW_ELEMENTS else 0.0
        allowed = (reference.floor.astype(np.float64) * 2.0**worst).astype(np.float32)
        rms = float(reference.noise[0]) * 2.0 ** (bits_lost + grace)
    if reference.codes is not None:
        strange = reference.codes == AS_EAGER
        expected, allowed = np.where(strange, plain, expected), np.where(strange, np.float32(0), allowed)
        allowed[np.isin(reference.codes, (LEFT_OUT, UNSTABLE, WILD))] = np.inf
        if (reference.codes == RELATIVE).any():
            rms = math.inf  # they are left out of it
    return expected, allowed.astype(np.float32), rms


def _parts(reference: Reference, tolerance: Tolerance, expected: Any) -> list[dict[str, Any]]:
    """What is asked of the elements below those that would hide them, from the largest on; see compare/hidden.py."""
    found: list[dict[str, Any]] = []
    by_noise = reference.kind == "float" and not is_explicit(tolerance)
    whole = reference
    while (part := whole.rest if by_noise else whole.unmasked) is not None and part.codes is not None:
        ordinary = True if whole.codes is None else whole.codes == 0
        below = float(np.abs(expected[ordinary & (part.codes == UNSTABLE)]).min())
        rms = math.inf
        if by_noise and part.noise is not None and part.counts is not None:
            grace = 1.0 if part.counts[0] < FEW_OF_REST else 0.0
            rms = float(part.noise[0]) * 2.0 ** (limits(tolerance, reference.dtype)[0] + grace)
        elif tolerance.bits is not None and part.signal is not None:
            rms = float(part.signal[0]) * 2.0**-tolerance.bits
        found.append({"below": below, "rms": rms, "cosine": tolerance.cosine})
        whole = part
    return found


def _as_said(reference: Reference, tolerance: Tolerance, expected: Any) -> Any:
    rtol: float | None = tolerance.rtol
    atol: Any = tolerance.atol
    if rtol is None and atol is None:
        rtol, atol = reference.format.lenient, np.zeros(expected.shape)
        part: Reference | None = reference
        while part is not None:
            there = slice(None) if part.codes is None else part.codes == 0
            atol[there] = reference.format.lenient * (0.0 if part.signal is None else float(part.signal[0]))
            part = part.unmasked
    with np.errstate(invalid="ignore"):
        return (0.0 if atol is None else atol) + (rtol or 0.0) * np.abs(expected).astype(np.float32)
