"""Do two runtimes that both differ from the reference differ from it alike?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..terms.case import Tolerance
from ..terms.tolerances import limits
from .groups import Array
from .numbers import flat
from .reference import Reference
from .words import model_values

# Of an output as many elements are kept, the worst and evenly spaced ones: 64 KiB.
_WORST = _SPACED = 2048
# What two results have in common has to be 4 times what they differ by, where that is within the limits of rounding;
# beyond these 2^10 times, since a wrong result's own rounding is that of other numbers than the reference's.
_COMMON = 4.0
_FAR = 2.0**10


@dataclass(frozen=True, eq=False)
class Sample:
    """Some elements of an output. shape: of the whole; indices: into its flat numbers, complex ones as pairs."""

    shape: tuple[int, ...]
    indices: Array
    values: Array


def sample(output: Array, reference: Reference | None) -> Sample:
    """The elements by which an output may be recognised: those furthest from the reference, and some of the others."""
    values = _plain(output)
    spaced = np.unique(np.linspace(0, max(0, values.size - 1), min(values.size, _SPACED)).astype(np.int64))
    if reference is not None and reference.shape == tuple(output.shape) and values.size > _SPACED:
        far = np.nan_to_num(_distance(values, _model(reference)) / _unit(reference, slice(None)), nan=np.inf)
        if reference.codes is not None:
            far[reference.codes != 0] = 0.0
        worst = np.argpartition(far, -_WORST)[-_WORST:]
        spaced = np.unique(np.concatenate([spaced, worst]))
    return Sample(tuple(output.shape), spaced, values[spaced])


def agree(
    samples: Mapping[str, Sample],
    outputs: Mapping[str, Array],
    references: Mapping[str, Reference],
    tolerance: Tolerance,
) -> bool:
    """Whether the other's outputs, of which these are samples, and ours are the same and not the reference's.

    At least one output has to be wrong in the same way, and none may be wrong in another. By output path.
    """
    alike = False
    for path in samples.keys() | outputs.keys():
        if path not in samples:
            continue  # more outputs than are kept
        if path not in outputs:
            return False
        found = _alike(samples[path], outputs[path], references.get(path), tolerance)
        if found is False:
            return False
        alike = alike or bool(found)
    return alike


def _alike(other: Sample, output: Array, reference: Reference | None, tolerance: Tolerance) -> bool | None:
    """Whether an output is wrong in the same way (True), in different ways (False), or in neither (None)."""
    if tuple(output.shape) != other.shape:
        return False
    if not output.size:
        return None if reference is not None and reference.shape == other.shape else True
    mine = _plain(output)[other.indices]
    if reference is None or reference.shape != other.shape:
        # That there is such an output, or of such a shape, is already what is wrong.
        size = float(np.sqrt(np.mean(np.square(np.nan_to_num(mine)))))
        return bool(np.nanmax(_distance(mine, other.values), initial=0.0) <= size / _FAR)
    model = _model(reference)[other.indices]
    unit = _unit(reference, other.indices)
    if reference.codes is not None:
        ordinary = reference.codes[other.indices] == 0
        mine, theirs, model, unit = (part[ordinary] for part in (mine, other.values, model, unit))
    else:
        theirs = other.values
    if not mine.size:
        return None
    if reference.kind == "exact":
        wrong = float(np.mean(np.minimum(_distance(mine, model), _distance(theirs, model)) > 0))
        differ = float(np.mean(mine != theirs))
        return differ <= wrong / _COMMON**2 if wrong or differ else None
    bits_lost, worst = limits(tolerance, reference.dtype)
    with np.errstate(all="ignore"):
        apart, ours, others = (_distance(a, b) / unit for a, b in ((mine, theirs), (mine, model), (theirs, model)))
        least = min(_rms(ours), _rms(others))
        if least <= 2.0**bits_lost and max(ours.max(), others.max()) <= 2.0**worst:
            return None
        if _rms(apart) <= least / _FAR:
            return True
        # Each may be off from what they have in common by as much as rounding may do.
        close = apart.max() <= 2.0 ** (worst + 1) and _rms(apart) <= 2.0 ** (bits_lost + 1)
        return bool(close and _rms(apart) <= least / _COMMON)


def _plain(output: Array) -> Array:
    values = flat(output)
    return values.astype(np.float64)


def _model(reference: Reference) -> Array:
    return np.asarray(model_values(reference, False), np.float64).reshape(-1)


def _unit(reference: Reference, indices: Array | slice) -> Array:
    """The error that counts as one, by element: the noise; 1 for integers; a lenient tolerance without float64."""
    if reference.floor is not None:
        return np.asarray(reference.floor[indices], np.float64)
    model = _model(reference)[indices]
    if reference.kind != "tolerance" or reference.signal is None:
        return np.ones(model.shape)
    return reference.format.lenient * (np.abs(model) + float(reference.signal[0]))


def _distance(a: Array, b: Array) -> Array:
    """|a - b|, huge where only one is NaN or infinite."""
    with np.errstate(all="ignore"):
        apart = np.abs(a - b)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    found: Array = np.where(same, 0.0, np.where(np.isfinite(apart), apart, 1e30))
    return found


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(np.minimum(values, 1e30)))))
