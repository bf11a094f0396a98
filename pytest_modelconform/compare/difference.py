"""Compare one output tensor of a run with its reference, and say in words how they differ."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ..terms.case import Tolerance
from ..terms.tolerances import is_explicit, limits
from .closeness import (
    LEAST_ASKED,
    LEAST_OF_GROUP,
    closeness,
    cosine_similarity,
    huge_bits,
    right_bits,
    worst_of_group,
)
from .groups import Array
from .imprecise import is_close, what_is_lost
from .measure import NotFiniteError, measure, strange_in, worst_position
from .numbers import FLOAT_FORMATS, UNSTABLE, Numbers, flat, is_complex, layout_of
from .reference import Reference
from .words import (
    beyond,
    bits_words,
    digits_up,
    element_words,
    few_bits_words,
    model_values,
    pair,
    place,
    significant,
    up,
)

Value = bool | int | float | str
# What is left beside larger ones is more often a tail, of which a few draws say less.
FEW_OF_REST = 128
_HIDDEN_END = "the others would hardly count"
# Integers that may be grey levels. Others may be indices: whatever is near an index is another thing.
LEVELS = ("uint8", "int8")
FEW_LEVELS = 2  # Rounded otherwise, not computed otherwise.
FEW_ELEMENTS = 16  # a root mean square over fewer is itself uncertain: one more bit may be lost


@dataclass(frozen=True)
class Difference:
    """How one output tensor of one run compares with the model. docs/verdicts.md has the formulas.

    bits, reference_bits, loss and worst are log2, finite, and None where they aren't defined. max_abs: the largest
    |y - r|. message: empty if ok. close: not ok, but by the noise alone, and close on the tensor's own scale, which is
    imprecise unless a cause is found. ill_conditioned: the noise hides much of what could be compared.
    unstable: the number of elements that weren't compared.

    For those who look closer: identical, whether it is bit for bit what eager returns; worst_index, where the worst
    element is; actual and expected, its value and the model's (complex numbers, NaN and infinities as text); histogram,
    see `Numbers`. None where there is no such thing, as for a result that wasn't compared.
    """

    ok: bool
    bits: float | None = None
    reference_bits: float | None = None
    loss: float | None = None
    worst: float | None = None
    max_abs: float | None = None
    message: str = ""
    close: bool = False
    ill_conditioned: bool = False
    unstable: int = 0
    identical: bool | None = None
    worst_index: tuple[int, ...] | None = None
    actual: Value | None = None
    expected: Value | None = None
    histogram: tuple[int, ...] | None = None


def compare_tensor(actual: Array, reference: Reference, tolerance: Tolerance, *, where: str, dtype: str) -> Difference:
    """Compare a runtime's output with its reference; what is bit for bit eager's passes whatever the tolerance.

    dtype: PyTorch's name of the dtype of `actual`. where: how messages name the output, "output[0]['boxes']".
    """
    result = Difference(
        ok=True,
        reference_bits=reference.reference_bits,
        ill_conditioned=reference.ill_conditioned,
        unstable=reference.unstable,
    )
    if mismatch := _dtype_and_shape(actual, reference, where, dtype):
        return replace(_with_bits(result, actual, reference, dtype), ok=False, message=mismatch)
    values = flat(actual)
    if reference.kind in ("empty", "unstable"):
        odd = values.size - _finite_in(values) if reference.finite else 0
        words = f"{where} has NaN or infinity in {odd} of {values.size} elements, {reference.source} in none"
        return replace(result, ok=False, message=words) if odd else result
    if _same_bits(values, reference.eager):
        result = replace(result, identical=True)
        return _with(result, replace(reference.eager_numbers, max_abs=reference.eager_numbers.max_abs or 0.0))
    result = replace(result, identical=False)
    if reference.kind == "exact":
        return _exactly(result, values, reference, tolerance, where)
    if reference.kind == "tolerance":
        if strange := _not_finite(result, values, reference, where):
            return strange
    else:
        try:
            numbers = measure(values, reference)
        except NotFiniteError:
            return _not_finite(result, values, reference, where) or result
        result = _at(_with(result, numbers), worst_position(values, reference, numbers), values, reference)
        if not is_explicit(tolerance):
            few = math.prod(reference.shape) < FEW_ELEMENTS
            result = _by_noise(result, numbers, values, reference, tolerance, where, few)
            return _with_rest(result, values, reference, tolerance, where)
    return _without_masks(
        _by_tolerance(result, values, reference, tolerance, where), values, reference, tolerance, where
    )


def _with(result: Difference, numbers: Numbers) -> Difference:
    return replace(
        result,
        bits=numbers.bits,
        loss=numbers.loss,
        worst=numbers.worst,
        max_abs=numbers.max_abs,
        histogram=numbers.histogram,
    )


def _at(result: Difference, position: int, values: Array, reference: Reference, eager: bool = False) -> Difference:
    """The result with its worst element: its place in the tensor, its value and the model's."""
    index, part = place(position, reference)
    actual, expected = (_value(row, position, part, reference) for row in (values, model_values(reference, eager)))
    return replace(result, worst_index=tuple(index), actual=actual, expected=expected)


def _value(row: Array, position: int, part: int | None, reference: Reference) -> Value:
    """A number as JSON takes it."""
    if part is not None:
        begin = position - part
        return str(complex(float(row[begin]), float(row[begin + 1])))
    if reference.kind == "exact":
        return bool(row[position]) if reference.dtype == "bool" else int(row[position])
    number = float(row[position])
    return number if math.isfinite(number) else str(number)


def _with_bits(result: Difference, actual: Array, reference: Reference, dtype: str) -> Difference:
    """Another dtype is a mismatch whatever the numbers are; that they would agree is still worth knowing."""
    same_family = dtype in FLOAT_FORMATS and is_complex(dtype) == is_complex(reference.dtype)
    if reference.kind == "float" and same_family and tuple(actual.shape) == reference.shape:
        try:
            return _with(result, measure(flat(actual), reference))
        except NotFiniteError:
            pass
    return result


def _dtype_and_shape(actual: Array, reference: Reference, where: str, dtype: str) -> str:
    faults = []
    if dtype != reference.dtype:
        faults.append(f"dtype {dtype}, {reference.source} returns {reference.dtype}{_narrowed(dtype, reference.dtype)}")
    if reference.kind == "unstable":
        if actual.ndim != len(reference.shape):
            faults.append(f"{actual.ndim} dimensions, {reference.source} returns {len(reference.shape)}")
        elif any(not least <= n <= most for n, (least, most) in zip(actual.shape, reference.lengths, strict=False)):
            spans = [str(least) if least == most else f"{least} to {most}" for least, most in reference.lengths]
            may = f"({', '.join(spans)}{',' if len(spans) == 1 else ''})"
            usual = f"{reference.source} returns {reference.shape}"
            faults.append(f"shape {tuple(actual.shape)}, {usual}, and rounding may make that {may}")
    elif tuple(actual.shape) != reference.shape:
        faults.append(f"shape {tuple(actual.shape)}, {reference.source} returns {reference.shape}")
    return f"{where} has " + "; and ".join(faults) if faults else ""


def _narrowed(dtype: str, expected: str) -> str:
    family, width = _family(dtype)
    expected_family, expected_width = _family(expected)
    if family != expected_family or width == expected_width:
        return ""
    return " (narrowed)" if width < expected_width else " (widened)"


def _family(dtype: str) -> tuple[str, int]:
    if dtype in FLOAT_FORMATS:
        return "complex" if is_complex(dtype) else "float", FLOAT_FORMATS[dtype].precision
    digits = "".join(c for c in dtype if c.isdigit())
    return "integer" if digits else dtype, int(digits or 0)


def _by_noise(
    result: Difference,
    numbers: Numbers,
    values: Array,
    reference: Reference,
    tolerance: Tolerance,
    where: str,
    few: bool,
) -> Difference:
    """Judge the loss of every group, and the worst element, in units of the noise. few: whether elements are few."""
    loss, worst = numbers.loss or 0.0, numbers.worst or 0.0
    most_lost, most_off = limits(tolerance, reference.dtype)
    grace = 1.0 if few else 0.0
    faults, needs, near = [], [], []
    if loss > most_lost + grace:
        faults.append(bits_words(reference, numbers.loss_group, loss, most_lost + grace, where))
        needs.append(f"bits_lost={up(loss - grace)}")
        near.append(loss - grace <= significant(reference, numbers.loss_group) / 2)
    if worst > most_off:
        whose = "bfloat16's" if reference.reduced else "faithful"
        if not faults:
            faults.append(
                f"off by 2^{beyond(worst, most_off)} times the noise of {whose} arithmetic (2^{most_off:g} may be)"
            )
        needs.append(f"worst={up(worst)}")
        near.append(worst - most_off <= significant(reference) / 2)
    if not faults:
        return result
    if close := is_close(values, reference, numbers):
        faults.append(what_is_lost(values, reference, numbers))
    if all(near):
        faults.append(f"it would need {', '.join(needs)}")
    if result.ill_conditioned:
        faults.append(f"ill-conditioned: faithful arithmetic has {reference.reference_bits:.1f} bits")
    element = element_words(worst_position(values, reference, numbers), values, reference, where)
    message = f"{'inexact' if close else 'wrong'} values: {element}; {'; '.join(faults)}"
    return replace(result, ok=False, message=message, close=close)


def _with_rest(result: Difference, values: Array, reference: Reference, tolerance: Tolerance, where: str) -> Difference:
    """A result that isn't wrong yet, judged without the elements that hide the others, too: what is worse counts."""
    rest = reference.rest
    if rest is None or not (result.ok or result.close):
        return result
    numbers = measure(values, rest)
    found = _at(_with(result, numbers), worst_position(values, rest, numbers), values, rest)
    found = replace(found, ok=True, message="", close=False)
    found = replace(found, reference_bits=rest.reference_bits, ill_conditioned=rest.ill_conditioned)
    few = rest.counts is not None and float(rest.counts[0]) < FEW_OF_REST
    found = _by_noise(found, numbers, values, rest, tolerance, where, few)
    found = _with_rest(found, values, rest, tolerance, where)
    if not found.ok and (result.ok or not found.close):
        return _says_without(found, rest, reference)
    if not result.ok:
        return result
    return replace(result, loss=_greater(result.loss, found.loss), worst=_greater(result.worst, found.worst))


def _says_without(found: Difference, rest: Reference, reference: Reference) -> Difference:
    if found.message.endswith(_HIDDEN_END):
        return found
    apart = rest.unstable - reference.unstable
    those = f"{apart} element{'' if apart == 1 else 's'} so large that {_HIDDEN_END}"
    return replace(found, message=f"{found.message}; that is without {those}")


def _without_masks(
    result: Difference, values: Array, reference: Reference, tolerance: Tolerance, where: str
) -> Difference:
    """A result that passes, judged without masks, too: a share of the whole tensor's size would hide all others.

    Not by an rtol and atol that are given: these hold for each element by itself.
    """
    unmasked = reference.unmasked
    if unmasked is None or not result.ok:
        return result
    if is_explicit(tolerance):
        tolerance = replace(tolerance, rtol=None, atol=None)
        if not is_explicit(tolerance):
            return result
    found = result
    if unmasked.kind == "float":
        numbers = measure(values, unmasked)
        found = _at(_with(result, numbers), worst_position(values, unmasked, numbers), values, unmasked)
        found = replace(found, reference_bits=unmasked.reference_bits, ill_conditioned=unmasked.ill_conditioned)
    found = _by_tolerance(found, values, unmasked, tolerance, where)
    found = _without_masks(found, values, unmasked, tolerance, where)
    if not found.ok:
        return _says_without(found, unmasked, reference)
    if found.bits is not None and result.bits is not None and found.bits < result.bits:
        # What is right of the whole says nothing: it is the masks'.
        return replace(result, bits=found.bits, reference_bits=found.reference_bits)
    return result


def _greater(one: float | None, other: float | None) -> float | None:
    known = [value for value in (one, other) if value is not None]
    return max(known, default=None)


def _by_tolerance(
    result: Difference, values: Array, reference: Reference, tolerance: Tolerance, where: str
) -> Difference:
    """Judge |y - r| <= atol + rtol |r|, cosine and bits: as the case says, or, without a pure float64 run, by dtype."""
    rtol, atol, source = tolerance.rtol, tolerance.atol, ""
    rms = 0.0 if reference.signal is None else float(reference.signal[0])
    if not is_explicit(tolerance):
        rtol, atol = reference.format.lenient, float(digits_up(reference.format.lenient * rms))
        source = f", the default for {reference.dtype} without a pure float64 run,"
    element, faults, needs, near = "", [], [], []
    if rtol is not None or atol is not None:
        rtol, atol = rtol or 0.0, atol or 0.0
        close = closeness(values, reference, rtol, atol)
        result = _at(replace(result, max_abs=close.max_abs), close.position, values, reference)
        if close.count:
            element = element_words(close.position, values, reference, where)
            faults.append(f"beyond {pair(rtol, atol)}{source} in {close.count} of {values.size} elements")
            relative = f"{pair(float(digits_up(close.rtol)), atol)} or " if math.isfinite(close.rtol) else ""
            needs.append(f"{relative}{pair(rtol, float(digits_up(close.atol)))}")
            near.append(_half_as_exact(close.atol / rms, max(rtol, atol / rms)) if rms else True)
    if tolerance.cosine is not None and (cosine := cosine_similarity(values, reference)) < tolerance.cosine:
        if not element and result.worst is not None:
            position = worst_position(values, reference, measure(values, reference))
            element = element_words(position, values, reference, where)
        faults.append(f"its cosine similarity is {cosine:.6f} (at least {tolerance.cosine:g} is asked for)")
        needs.append(f"cosine={math.floor(cosine * 1e6) / 1e6:g}")
        near.append(_half_as_exact(1.0 - cosine, 1.0 - tolerance.cosine))
    # More than faithful arithmetic has can't be asked for: what is within its noise is right.
    if tolerance.bits is not None and not _within_noise(result, reference, tolerance):
        right = right_bits(values, reference)
        at: int | None = None
        if right.bits < tolerance.bits:
            faults.append(f"{right.bits:.1f} bits are right (at least {tolerance.bits:g} are asked for)")
            needs.append(f"bits={math.floor(right.bits * 10) / 10:g}")
            near.append(right.bits >= tolerance.bits / 2)
            if result.worst is not None:
                at = worst_position(values, reference, measure(values, reference))
        elif tolerance.bits >= LEAST_ASKED and right.least < LEAST_OF_GROUP:
            faults.append(few_bits_words(reference, right.group, right.bits, right.least, LEAST_OF_GROUP, where))
            near.append(False)
            at = worst_of_group(values, reference, right.group)
        if at is not None and not element:
            result = _at(result, at, values, reference)
            element = element_words(at, values, reference, where)
    if (asked := _asked_of_huge(tolerance)) is not None and not _within_noise(result, reference, tolerance):
        huge = huge_bits(values, reference)
        if huge.bits < asked:
            faults.append(
                f"{huge.bits:.1f} bits are right of numbers from 1e30 on (at least {asked:.3g} are asked for)"
            )
            near.append(False)
            if not element:
                result = _at(result, huge.position, values, reference)
                element = element_words(huge.position, values, reference, where)
    if not faults:
        return result
    if all(near):
        faults.append(f"it would need {', '.join(needs)}")
    return replace(result, ok=False, message=f"wrong values: {element or where}; {'; '.join(faults)}")


def _asked_of_huge(tolerance: Tolerance) -> float | None:
    """How many bits must be right of the numbers that neither `bits` nor `cosine` holds; None for no such tolerance."""
    bits = [] if tolerance.bits is None else [tolerance.bits]
    if tolerance.cosine is not None and tolerance.cosine < 1.0:
        # So large an error as the cosine allows: 1 - cos is half the square of it.
        bits.append(-0.5 * math.log2(2.0 * (1.0 - tolerance.cosine)))
    return max(bits, default=None)


def _within_noise(result: Difference, reference: Reference, tolerance: Tolerance) -> bool:
    """Whether an output would pass without the tolerance's `bits`."""
    if result.loss is None or result.worst is None or reference.reduced:
        return False
    most_lost, most_off = limits(tolerance, reference.dtype)
    return result.loss <= most_lost and result.worst <= most_off


def _half_as_exact(needed: float, asked: float) -> bool:
    """Whether an output keeps half of the digits that were asked for: with fewer, no tolerance is worth naming."""
    return needed <= math.sqrt(max(asked, 0.0))


def _finite_in(values: Array) -> int:
    return int(np.count_nonzero(np.isfinite(values.astype(np.float64))))


def _exactly(result: Difference, values: Array, reference: Reference, tolerance: Tolerance, where: str) -> Difference:
    differs = values != reference.eager
    if reference.codes is not None:
        free = reference.codes == UNSTABLE
        if reference.allowed is not None:
            least, most = reference.allowed
            free &= (values >= least) & (values <= most)
        differs &= ~free
    positions = np.flatnonzero(differs)
    if not positions.size:
        return replace(result, max_abs=0.0)
    sizes = np.abs(values[positions].astype(np.float64) - reference.eager[positions].astype(np.float64))
    kind = "bools" if reference.dtype == "bool" else "integers"
    share, levels = 0, 0.0
    must = f"{kind} must be equal"
    if tolerance.bits is not None:
        # As of numbers: of so many bits, that share is all that may be wrong.
        share = math.floor(values.size * 2.0**-tolerance.bits)
        must = f"{share} {kind} may (bits={tolerance.bits:g})"
    elif reference.dtype in LEVELS and tolerance.levels is not None:
        levels = tolerance.levels
        must = f"{kind} may be {levels:g} apart (levels={levels:g})"
    elif reference.dtype in LEVELS and (apart := float(sizes.max())) <= FEW_LEVELS:
        must += f"; if they are pixels, Tolerance(levels={apart:g}) lets them be {apart:g} apart"
    worst = int(positions[sizes.argmax()])
    # As float64, large integers that differ may be 0 apart.
    wrong = int(np.count_nonzero(sizes > levels)) if levels else positions.size
    if wrong <= share:
        return _at(replace(result, max_abs=float(sizes.max())), worst, values, reference)
    element = element_words(worst, values, reference, where)
    message = f"wrong values: {element}; {wrong} of {values.size} elements differ, and {must}"
    return _at(replace(result, ok=False, max_abs=float(sizes.max()), message=message), worst, values, reference)


def _not_finite(result: Difference, values: Array, reference: Reference, where: str) -> Difference | None:
    """Name the first position at which one is NaN or infinite and the other isn't; None if there is none."""
    count, first = 0, 0
    for tile in layout_of(reference.shape, reference.dtype).tiles():
        strange = np.flatnonzero(strange_in(values, reference, tile))
        if strange.size and not count:
            first = tile.start + int(strange[0])
        count += int(strange.size)
    if not count:
        return None
    more = f" ({count} such elements of {values.size})" if count > 1 else ""
    element = element_words(first, values, reference, where, eager=True)
    message = f"NaN or infinity in other places: {element}{more}"
    return _at(replace(result, ok=False, message=message), first, values, reference, eager=True)


def _same_bits(values: Array, eager: Array) -> bool:
    if values.dtype != eager.dtype:
        return False
    one, two = (array.view(f"u{array.dtype.itemsize}") for array in (values, eager))
    step = 1 << 18
    return all(np.array_equal(one[i : i + step], two[i : i + step]) for i in range(0, one.size, step))
