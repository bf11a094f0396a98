"""Which eager variant of the model an output comes nearest to, and whether the variant is the cause of it.

A variant has to be right everywhere: a group of elements in which it would show, and the output is the model's,
contradicts it; one that is wrong, and no nearer to it, is left unexplained.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..compare import Reference
from ..compare.groups import Array, Floats, GroupSums
from ..compare.measure import NotFiniteError, measure
from ..compare.numbers import MOST_BITS, Numbers, flat, layout_of, log2
from ..terms.tolerances import limits
from .judge import MOST_ELEMENTS, Seen

NEARER = 4.0  # bits by which an output has to be nearer to a variant than to the model
NEARER_WITHIN = 2.5  # the same where it is within the noise of the variant: an error of any other kind is not
CLASS = 1.5  # bits within which the loss of an output is a variant's own
_WORST = 2.5  # the same for the worst element, of which there is but one
_TIE = 0.3  # bits within which two variants explain equally much
_BITS = 2.0  # effective bits within which those of an output are a precision's own
_NEARER_GROUP = 2.0  # bits by which each wrong group has to be nearer to a variant than to the model
_CONTRADICTED, _UNEXPLAINED = 0.02, 0.1  # shares of all groups, and of the wrong ones, that are no matter
_SPREAD, _MOST_GROUPS = 3.0, 0.75  # bits within which so many of the groups lose as much as with a precision
# Effective bits of numbers that were rounded to nearest, by what a precision's name ends with; int8's by rows. Sums and
# biases that are not rounded make more of them, but hardly `_DILUTED` more.
_BITS_OF = {"int8": 7.0, "bfloat16": 9.0, "float16": 12.0, "tf32": 12.0}
_DILUTED = 4.0


@dataclass(frozen=True)
class Variant:
    """What eager returns when something in it is changed.

    kind: "cause" (the output is this one, but for rounding), "precision" (or loses as much), "random" (two draws, whose
    outputs are `outputs` and `again`). sentence: for a precision what follows "computed with". outputs: by path.
    """

    name: str
    kind: str
    sentence: str
    outputs: Mapping[str, Array]
    again: Mapping[str, Array] | None = None


def explanation(seen: Seen, variants: Sequence[Variant], note: str = "", may_reduce: bool = True) -> str | None:
    """The sentence for the variant that explains an input set's outputs.

    note: of the runtime, on its precision. may_reduce: whether it is known to compute in a lower precision anywhere.
    Else an error of that size is no evidence: many faults have it (of 91 in strangers' models, 7 were taken for one).
    """
    if not _comparable(seen, seen.outputs):
        return None
    with np.errstate(all="ignore"):
        usable = [variant for variant in variants if _comparable(seen, variant.outputs)]
        error = _distance(seen, seen.outputs, None)
        found = _nearest(seen, usable, error)
        if found is not None:
            variant, bits = found
            if variant.kind != "precision":
                return f"{variant.sentence}: {_so_near(bits)}"
            return _with(f"computed with {variant.sentence}: {_so_near(bits)}", note)
        if any(variant.kind == "random" and _as_random(seen, variant, error) for variant in usable):
            return "dropout is active: runs differ from each other, and from the model, as in train mode"
        return _class(seen, [v for v in usable if v.kind == "precision"], note) if may_reduce else None


def _so_near(bits: float) -> str:
    return f"the outputs are {bits:.0f} bits nearer to that than to the model's"


def _with(sentence: str, note: str) -> str:
    return f"{sentence} ({note})" if note else sentence


def _comparable(seen: Seen, outputs: Mapping[str, Array]) -> bool:
    """Whether two sets of outputs have the same shapes, so that one can be nearer to the other."""
    return seen.outputs.keys() == outputs.keys() == seen.references.keys() and all(
        array.shape == outputs[path].shape == seen.references[path].shape and array.size <= MOST_ELEMENTS
        for path, array in seen.outputs.items()
    )


def _nearest(seen: Seen, variants: Sequence[Variant], error: float) -> tuple[Variant, float] | None:
    """The first of the variants that the outputs are nearest to by far, and by how many bits."""
    best: tuple[Variant, float] | None = None
    for variant in variants:
        if variant.kind == "random" or not 0.0 < error < math.inf:
            continue
        # Nobody can be nearer than rounding allows: 1 is the noise.
        distance = _distance(seen, seen.outputs, variant.outputs)
        bits = math.log2(error) - log2(max(distance, 1.0))
        enough = NEARER if distance > 1.0 else NEARER_WITHIN
        if bits >= enough and (best is None or bits > best[1] + _TIE) and _is_right_everywhere(seen, variant):
            best = variant, bits
    return best


def _is_right_everywhere(seen: Seen, variant: Variant) -> bool:
    """Whether hardly a group of an output contradicts a variant, or is wrong and left unexplained by it."""
    for path, reference in seen.references.items():
        if reference.kind != "float":
            continue
        limit = limits(seen.tolerance, reference.dtype)[0]
        from_model = _losses(seen.outputs[path], None, reference)
        from_variant = _losses(seen.outputs[path], variant.outputs[path], reference)
        is_wrong = from_model > limit
        contradicted = ~is_wrong & (from_variant > limit + 1.0)
        unexplained = is_wrong & (from_variant > np.maximum(from_model - _NEARER_GROUP, limit + 1.0))
        if contradicted.mean() > _CONTRADICTED or unexplained.sum() > _UNEXPLAINED * is_wrong.sum():
            return False
    return True


def _losses(outputs: Array, others: Array | None, reference: Reference) -> Floats:
    """log2 of rms(outputs - others) in units of the noise, by group. others: None stands for the model's."""
    layout = layout_of(reference.shape, reference.dtype)
    one, two = _row(outputs), _model(reference) if others is None else _row(others)
    sums = GroupSums(layout)
    for tile in layout.tiles():
        errors = np.subtract(one[tile.start : tile.stop], two[tile.start : tile.stop], dtype=np.float64)
        if reference.codes is not None:
            errors[reference.codes[tile.start : tile.stop] != 0] = 0.0
        sums.add(tile, errors * errors)
    counts = layout.counts() if reference.counts is None else reference.counts
    lost: Floats = np.log2(np.sqrt(sums.totals() / np.maximum(counts, 1.0)) / reference.noise)
    return np.nan_to_num(lost, nan=np.inf, posinf=np.inf, neginf=-MOST_BITS)


def _distance(seen: Seen, outputs: Mapping[str, Array], others: Mapping[str, Array] | None) -> float:
    """Root of the summed squares, over outputs, of rms(outputs - others) in units of the noise.

    others: None stands for the model's. An integer or bool counts 0 where it is equal and 2^10 where not.
    """
    total = 0.0
    for path, reference in seen.references.items():
        if reference.kind == "empty":
            continue
        one = _row(outputs[path])
        two = _row(others[path]) if others is not None else _model(reference)
        good = slice(None) if reference.codes is None else reference.codes == 0
        one, two = one[good], two[good]
        if not one.size:
            continue
        if reference.kind == "exact":
            total += (2**10 * float((one != two).mean())) ** 2
            continue
        size = float(np.mean(np.square(np.subtract(one, two, dtype=np.float64))))
        total += size / _noise(reference) ** 2
    return math.sqrt(total) if math.isfinite(total) else math.inf


def _noise(reference: Reference) -> float:
    if reference.noise is not None:
        return float(reference.noise[0])
    signal = 1.0 if reference.signal is None else float(reference.signal[0])
    return max(reference.format.roundoff * signal, reference.format.tiny)


def _row(array: Array) -> Array:
    row = flat(array)
    return row if row.dtype.isbuiltin == 1 else row.astype(np.float32)


def _model(reference: Reference) -> Array:
    return _row(reference.eager) if reference.r is None else reference.r


def _as_random(seen: Seen, variant: Variant, error: float) -> bool:
    """Whether the runtime's runs differ among themselves, and from the model, as much as the variant's two draws do."""
    if not seen.again or variant.again is None or not _comparable(seen, seen.again) or not seen.again.keys():
        return False
    among = _distance(seen, seen.outputs, seen.again)
    expected = _distance(seen, variant.outputs, variant.again)
    from_model = _distance(seen, variant.outputs, None)
    if not all(0.0 < value < math.inf for value in (among, expected, from_model, error)):
        return False
    return abs(math.log2(among / expected)) <= 1.0 and abs(math.log2(error / from_model)) <= CLASS


def _class(seen: Seen, variants: Sequence[Variant], note: str) -> str | None:
    """The precision whose loss is nearest to the outputs' own, in every output that holds floating-point numbers."""
    paths = [path for path, reference in seen.references.items() if reference.kind == "float"]
    own = {path: _numbers(seen.outputs[path], seen.references[path]) for path in paths}
    if not paths or any(numbers is None for numbers in own.values()):
        return None
    loss = max(numbers.loss or 0.0 for numbers in own.values() if numbers)
    if loss <= max(limits(seen.tolerance, seen.references[path].dtype)[0] for path in paths):
        return None
    ranked = []
    for variant in variants:
        gap = 0.0
        for path in paths:
            one, two = own[path], _numbers(variant.outputs[path], seen.references[path])
            gap = max(gap, _gap(one, two))
        if gap <= CLASS and all(_has_its_bits(seen, variant, path, own[path]) for path in paths):
            ranked.append((gap, variant))
    if not ranked:
        return None
    nearest = min(gap for gap, _ in ranked)
    names = [variant.sentence for gap, variant in ranked if gap <= nearest + _TIE][:2]
    return _with(f"loses {loss:.1f} bits: the accuracy of {' or '.join(names)}", note)


def _has_its_bits(seen: Seen, variant: Variant, path: str, own: Numbers | None) -> bool:
    """Whether an output has the effective bits that a precision leaves this model, and loses them in its places."""
    other = _numbers(variant.outputs[path], seen.references[path])
    if own is None or other is None or own.bits is None or other.bits is None:
        return False
    most = _BITS_OF.get(variant.name.rpartition("-")[2], math.inf) + _DILUTED
    if abs(own.bits - other.bits) > _BITS or own.bits > most:
        return False
    one, two = (_losses(outputs[path], None, seen.references[path]) for outputs in (seen.outputs, variant.outputs))
    alike = np.abs(np.maximum(one, 0.0) - np.maximum(two, 0.0)) <= _SPREAD
    return bool(alike.mean() >= _MOST_GROUPS)


def _gap(one: Numbers | None, two: Numbers | None) -> float:
    """How far two results are apart in what they lose, in bits; inf where the worst elements are no match."""
    if one is None or two is None or abs((one.worst or 0.0) - (two.worst or 0.0)) > _WORST:
        return math.inf
    return abs((one.loss or 0.0) - (two.loss or 0.0))


def _numbers(array: Array, reference: Reference) -> Numbers | None:
    try:
        return measure(flat(array), reference)
    except NotFiniteError:
        return None
