"""Verdicts on one tensor: what passes, what fails, and what the messages say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from pytest_modelconform.compare import (
    Difference,
    Reference,
    compare_tensor,
    make_reference,
)
from pytest_modelconform.compare.words import told_apart
from pytest_modelconform.terms.case import Tolerance
from tests.support.checking import check

Array = np.ndarray[Any, Any]
Weights = dict[str, Array]
Product = Callable[[Array, Array], Array]

# -- simple references -------------------------------------------------------------------------------------------------


def simple(r: Array, dtype: str = "float32", size: float = 2.0**-23) -> Reference:
    """A reference whose noise is relative, about an ulp."""
    numpy_dtype = {"bfloat16": ml_dtypes.bfloat16}.get(dtype, dtype)
    random = np.random.default_rng(0)
    runs = [(r * (1 + size * random.standard_normal(r.shape))).astype(numpy_dtype) for _ in range(5)]
    return make_reference(r, runs[0], runs[1:], dtype)


def faithful(r: Array, dtype: Any = np.float32, size: float = 2.0**-23) -> Array:
    result: Array = (r * (1 + size * np.random.default_rng(1).standard_normal(r.shape))).astype(dtype)
    return result


def some(*shape: int) -> Array:
    return np.random.default_rng(2).standard_normal(shape)


def test_small_columns_are_not_hidden_by_large_ones() -> None:
    """Detections: boxes up to 500 beside scores of 0.001."""
    random = np.random.default_rng(3)
    r = np.concatenate([random.uniform(0, 500, (100, 4)), random.uniform(0, 0.002, (100, 1))], axis=1)
    reference = simple(r)
    assert check(faithful(r), reference).ok
    wrong = faithful(r)
    wrong[:, 4] += np.float32(1e-6) * random.standard_normal(100).astype(np.float32)
    whole = np.sqrt(((wrong - r) ** 2).mean() / (r**2).mean())
    assert whole < 2.0**-22  # over the whole tensor it can't be seen
    difference = check(wrong, reference)
    assert not difference.ok
    assert " significant bits agree in output[0][:, 4] (1.5 may be lost)" in difference.message


def test_one_wrong_row_is_named() -> None:
    r = some(8, 100, 7)
    wrong = faithful(r)
    wrong[:, 42] *= np.float32(1 + 3e-5)
    difference = check(wrong, simple(r))
    assert not difference.ok
    # 8 x 7 elements are too few for a group of axis 1.
    assert re.search(r"output\[0\]\[\d, 42, \d\] is ", difference.message)
    wide = some(8, 100, 70)
    wrong = faithful(wide)
    wrong[:, 42] *= np.float32(1 + 3e-6)
    assert " significant bits agree in output[0][:, 42] (1.5 may be lost)" in check(wrong, simple(wide)).message


def test_message_names_element_values_and_needed_tolerance() -> None:
    r = some(20, 30)
    reference = simple(r)
    wrong = faithful(r)
    wrong[3, 17] *= np.float32(1 + 2.0**-14)
    difference = check(wrong, reference)
    message = difference.message
    found = re.fullmatch(
        r"inexact values: output\[0\]\[3, 17\] is (\S+), PyTorch gives (\S+); (\S+) of (\S+) significant bits agree "
        r"\(1.5 may be lost\); right to .* bits of the tensor's scale; it would need bits_lost=(\S+), worst=(\S+)",
        message,
    )
    assert found, message
    assert float(found[2]) == pytest.approx(r[3, 17], rel=1e-4)
    assert found[1] != found[2]
    assert difference.loss is not None
    assert float(found[4]) - float(found[3]) == pytest.approx(difference.loss, abs=0.06)
    assert check(wrong, reference, Tolerance(bits_lost=float(found[5]), worst=float(found[6]))).ok
    assert not check(wrong, reference, Tolerance(bits_lost=float(found[5]) - 0.2, worst=float(found[6]))).ok
    assert not check(wrong, reference, Tolerance(bits_lost=float(found[5]), worst=float(found[6]) - 0.2)).ok


def test_message_has_only_what_is_exceeded() -> None:
    r = some(100, 100)
    wrong = faithful(r)
    wrong[5, 6] *= np.float32(1 + 3e-5)
    difference = check(wrong, simple(r))
    assert difference.loss is not None
    assert difference.loss < 6
    message = check(wrong, simple(r), Tolerance(bits_lost=6)).message
    assert re.match(r"inexact values: output\[0\]\[5, 6\] is \S+, PyTorch gives \S+; off by 2\^", message)
    assert "times the noise of faithful arithmetic (2^4 may be)" in message
    assert "bits_lost" not in message


def test_a_tolerance_is_named_for_near_misses_only() -> None:
    """Whoever reads `bits_lost=20` beside numbers of which none is right might write it down."""
    r = some(100, 100)
    for factor, near in ((1 + 2.0**-16, True), (1 + 2.0**-9, False), (-1.0, False)):
        message = check((r * factor).astype(np.float32), simple(r)).message
        assert ("it would need bits_lost=" in message) == near, message
    assert re.fullmatch(
        r"wrong values: output\[0\]\[\d+, \d+\] is -?\d(\.\d\d?)?, PyTorch gives -?\d(\.\d\d?)?; "
        r"none of 22 significant bits agree in output\[0\]\[\d+\] \(1.5 may be lost\)",
        message,
    ), message


def test_numbers_have_as_many_digits_as_tell_them_apart() -> None:
    assert told_apart(-0.93012345, 0.7912345, 24) == ("-0.93", "0.791")
    assert told_apart(0.7558451, 0.7558462, 24) == ("0.7558451", "0.7558462")
    assert told_apart(1.0, 1.0 + 1e-12, 24) == ("1", "1")
    assert told_apart(float("nan"), -0.0, 24) == ("nan", "-0")


def test_small_outputs_may_lose_one_bit_more() -> None:
    r = some(15)
    wrong = (r * (1 + 6 * 2.0**-23)).astype(np.float32)
    reference = simple(r)
    difference = check(wrong, reference)
    assert difference.loss is not None
    assert 1.5 < difference.loss < 2.5
    assert difference.ok
    assert not check(wrong, reference, Tolerance(bits_lost=difference.loss - 1.1)).ok
    assert (
        f"({difference.loss - 0.1:g} may be lost)" in check(wrong, reference, Tolerance(difference.loss - 1.1)).message
    )


@pytest.mark.parametrize(
    ("dtype", "size", "bits"), [("float16", 2.0**-11, 10), ("bfloat16", 2.0**-8, 7), ("float64", 2.0**-52, 50)]
)
def test_other_dtypes(dtype: str, size: float, bits: float) -> None:
    r = some(50, 60)
    numpy_dtype = ml_dtypes.bfloat16 if dtype == "bfloat16" else np.dtype(dtype)
    reference = simple(r, dtype, size)
    difference = check(faithful(r, numpy_dtype, size), reference)
    assert difference.ok, difference.message
    assert not difference.ill_conditioned
    assert difference.bits is not None
    assert bits < difference.bits < bits + 4
    assert not check(faithful(r, numpy_dtype, size * 64), reference).ok


def test_half_precision_numbers_below_its_normal_range_are_compared() -> None:
    """A softmax over 50000 words in float16: all of it is subnormal, and none of it is noise."""
    r = np.random.default_rng(4).uniform(1e-6, 4e-5, (4, 1000))
    reference = simple(r, "float16", 2.0**-11)
    assert check(faithful(r, np.float16, 2.0**-11), reference).ok
    assert not check((r * 1.5).astype(np.float16), reference).ok


def test_float32_numbers_that_are_flushed_to_zero_pass() -> None:
    r = np.concatenate([np.full(100, 1e-39), some(100)])
    actual = faithful(r)
    actual[:100] = 0
    assert check(actual, simple(r)).ok


def test_a_channel_of_zeros_must_stay_zero() -> None:
    r = some(4, 100)
    r[2] = 0
    actual = faithful(r)
    assert check(actual, simple(r)).ok
    actual[2, 7] = 1e-12
    difference = check(actual, simple(r))
    assert not difference.ok
    assert "the error in output[0][2] is 2^" in difference.message
    assert "output[0][2, 7] is 1e-12, PyTorch gives 0" in difference.message


def test_an_exact_result_has_sixty_bits() -> None:
    r = some(10, 10).astype(np.float32).astype(np.float64)
    difference = check(r.astype(np.float32), simple(r))
    assert difference.ok
    assert (difference.bits, difference.loss, difference.worst) == (60.0, -60.0, -60.0)


def test_numbers_stay_finite_whatever_comes() -> None:
    for dtype, most in (("float32", 3.4e38), ("float64", 1.7e308)):
        r = some(10, 10)
        r[0, 0] = -1e20
        wrong = r.astype(dtype)
        wrong[0, 0] = most
        difference = check(wrong, simple(r, dtype))
        assert not difference.ok
        for number in (difference.bits, difference.loss, difference.worst, difference.max_abs):
            assert number is not None
            assert np.isfinite(number)
        json.dumps(difference.__dict__, allow_nan=False)


def test_an_ill_conditioned_case_is_flagged() -> None:
    random = np.random.default_rng(5)
    r = random.standard_normal((10, 10))
    runs = [(r + 1e-4 * random.standard_normal(r.shape)).astype(np.float32) for _ in range(6)]
    reference = make_reference(r, runs[0], runs[1:5], "float32")
    difference = check(runs[5], reference)
    assert difference.ok
    assert difference.ill_conditioned
    assert "; ill-conditioned: faithful arithmetic has 13." in check(runs[5] + np.float32(0.1), reference).message
    assert not check(faithful(r), simple(r)).ill_conditioned


def test_empty_outputs_have_only_dtype_and_shape() -> None:
    empty = np.zeros((0, 4), np.float32)
    reference = make_reference(empty.astype(np.float64), empty, [empty], "float32")
    assert check(empty.copy(), reference) == Difference(ok=True)
    assert check(np.zeros((1, 4), np.float32), reference).message == (
        "output[0] has shape (1, 4), PyTorch returns (0, 4)"
    )


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_that_are_not_row_major(order: Any) -> None:
    r = some(30, 40)
    assert check(np.asarray(faithful(r), order=order), simple(np.asarray(r, order=order))).ok


# -- NaN, infinity, huge -----------------------------------------------------------------------------------------------


def with_specials() -> Array:
    r = some(10, 20)
    r[0, :3] = [np.nan, np.inf, -np.inf]
    return r


def test_nan_and_infinity_where_eager_has_them_pass() -> None:
    r = with_specials()
    difference = check(faithful(r), simple(r))
    assert difference.ok
    assert difference.bits is not None
    assert difference.bits > 21


@pytest.mark.parametrize(
    ("index", "value", "words"),
    [
        ((0, 0), 1.0, "output[0][0, 0] is 1, PyTorch gives nan"),
        ((0, 1), -np.inf, "output[0][0, 1] is -inf, PyTorch gives inf"),
        ((0, 2), np.nan, "output[0][0, 2] is nan, PyTorch gives -inf"),
        ((3, 4), np.inf, "output[0][3, 4] is inf, PyTorch gives "),
        ((3, 4), np.nan, "output[0][3, 4] is nan, PyTorch gives "),
    ],
)
def test_nan_and_infinity_elsewhere_fail(index: tuple[int, int], value: float, words: str) -> None:
    r = with_specials()
    actual = faithful(r)
    actual[index] = value
    difference = check(actual, simple(r))
    assert not difference.ok
    assert difference.message.startswith(f"NaN or infinity in other places: {words}")
    assert difference.bits is None
    actual[5, 5:8] = np.nan
    assert check(actual, simple(r)).message.endswith("(4 such elements of 200)")


def test_where_only_float64_is_infinite_the_result_must_be_finite() -> None:
    r = some(10, 10)
    runs = [faithful(r) for _ in range(5)]
    r[1, 1] = np.nan
    reference = make_reference(r, runs[0], runs[1:], "float32")
    actual = runs[0].copy()
    actual[1, 1] = 77
    assert check(actual, reference).ok
    actual[1, 1] = np.inf
    assert not check(actual, reference).ok


@pytest.mark.parametrize(("dtype", "numpy_dtype"), [("float32", np.float32), ("bfloat16", ml_dtypes.bfloat16)])
def test_huge_masks_are_compared_relatively_and_hide_nothing(dtype: str, numpy_dtype: Any) -> None:
    """A mask of finfo.min, which is -1.8e308 in the float64 run."""
    least = -3.4028234663852886e38 if dtype == "float32" else -3.3895313892515355e38
    size = 2.0 ** -(24 if dtype == "float32" else 8)
    r = some(20, 50)
    runs = [(r * (1 + size * some(20, 50))).astype(numpy_dtype) for _ in range(5)]
    for run in runs:
        run[:, :10] = least
    r[:, :10] = np.finfo(np.float64).min
    reference = make_reference(r, runs[0], runs[1:], dtype)
    assert reference.reference_bits is not None
    assert reference.reference_bits > 6
    actual = runs[0].copy()
    actual[4, 20] += numpy_dtype(size)
    assert check(actual, reference).ok
    actual[4, 2] = least / 4  # in bfloat16 2 u |r| * 2**6 is |r| / 2: half of it would pass
    difference = check(actual, reference)
    assert not difference.ok
    digits = ("8.51", "3.4") if dtype == "float32" else ("8.47", "3.39")
    assert f"output[0][4, 2] is -{digits[0]}e+37, PyTorch gives -{digits[1]}e+38" in difference.message
    actual[4, 2] = least
    actual[4, 20] += numpy_dtype(4)
    assert "output[0][4, 20] is 6.3" in check(actual, reference).message


# -- what a report shows beside the numbers ----------------------------------------------------------------------------


def test_the_worst_element_is_there_with_its_place_and_both_values() -> None:
    r = some(20, 30)
    wrong = faithful(r)
    wrong[3, 17] = 0.5
    difference = check(wrong, simple(r))
    assert (difference.worst_index, difference.actual, difference.identical) == ((3, 17), 0.5, False)
    assert difference.expected == r[3, 17]


def test_what_passes_has_a_worst_element_too() -> None:
    r = some(20, 30)
    values = faithful(r)
    difference = check(values, simple(r))
    assert difference.ok
    assert difference.worst_index is not None
    assert difference.actual == float(values[difference.worst_index])
    assert difference.expected == r[difference.worst_index]


def test_what_is_bit_for_bit_the_same_has_none() -> None:
    reference = simple(some(20, 30))
    difference = check(reference.eager.reshape(20, 30), reference)
    assert (difference.identical, difference.worst_index, difference.actual) == (True, None, None)
    kept = Reference.from_arrays(*reference.to_arrays())
    assert check(kept.eager.reshape(20, 30), kept).histogram == difference.histogram
    assert sum(difference.histogram or ()) == 600


def test_infinities_and_nan_are_text() -> None:
    r = some(4, 5)
    wrong = faithful(r)
    wrong[2, 1] = np.nan
    difference = check(wrong, simple(r))
    assert (difference.worst_index, difference.actual) == ((2, 1), "nan")
    assert difference.expected == float(simple(r).eager.reshape(4, 5)[2, 1])
    assert difference.histogram is None


def test_integers_and_bools_stay_what_they_are() -> None:
    eager = np.arange(20).reshape(4, 5)
    wrong = eager.copy()
    wrong[3, 4] = 2**62 + 1
    difference = check(wrong, make_reference(None, eager, [eager], "int64"))
    assert (difference.worst_index, difference.actual, difference.expected) == ((3, 4), 2**62 + 1, 19)
    flags = np.arange(6) % 2 == 0
    difference = check(~flags, make_reference(None, flags, [], "bool"))
    assert (difference.worst_index, difference.actual, difference.expected) == ((0,), False, True)


def test_a_complex_element_is_shown_whole() -> None:
    r = np.linspace(1.0, 2.0, 100).reshape(10, 10) * (1 + 2j)
    eager = r.astype(np.complex64)
    reference = make_reference(r, eager, [(r * (1 + 1e-7)).astype(np.complex64)], "complex64")
    wrong = eager.copy()
    wrong[9, 9] = 2 + 5j
    difference = check(wrong, reference)
    assert (difference.worst_index, difference.actual, difference.expected) == ((9, 9), "(2+5j)", "(2+4j)")


def test_a_tolerance_of_ones_own_has_its_worst_element() -> None:
    r = np.linspace(1.0, 2.0, 100)
    wrong = r.astype(np.float32)
    wrong[7] = 9.0
    difference = check(wrong, simple(r), Tolerance(rtol=1e-3))
    assert (difference.worst_index, difference.actual) == ((7,), 9.0)


def test_the_histogram_counts_elements_by_their_error_in_units_of_the_noise() -> None:
    r = np.linspace(1.0, 2.0, 100)
    reference = simple(r)
    assert reference.floor is not None
    off = np.zeros(100)
    # In units of the noise, and where the bins' bounds are: up to 1, 2, 4, … 1024, and beyond.
    off[:8] = [0.9, 1.5, 3.0, 3.5, 100.0, 1000.0, 1100.0, 1e6]
    values = (r + off * np.asarray(reference.floor)).astype(np.float64)
    reference = replace(reference, dtype="float64", eager=reference.eager.astype(np.float64))
    difference = compare_tensor(values, reference, Tolerance(), where="output", dtype="float64")
    assert difference.histogram == (93, 1, 2, 0, 0, 0, 0, 1, 0, 0, 1, 2)


def test_the_histogram_is_that_of_the_ratios_tile_by_tile() -> None:
    r = some(300, 200)
    values = faithful(r, size=2.0**-18)
    reference = simple(r)
    ratios = np.abs(values.reshape(-1) - np.asarray(reference.r)) / np.asarray(reference.floor)
    bounds = [-1.0, *(2.0**k for k in range(11)), np.inf]
    expected = [int(((ratios > a) & (ratios <= b)).sum()) for a, b in pairwise(bounds)]
    assert list(check(values, reference).histogram or ()) == expected


def test_elements_that_are_not_compared_are_not_counted() -> None:
    r = with_specials()
    reference = simple(r)
    assert reference.codes is not None
    values = reference.eager.copy().reshape(r.shape)
    values[-1, -1] += np.float32(1e-6)
    difference = check(values, reference)
    left_out = int(np.isin(reference.codes, (1, 2, 3)).sum())
    assert left_out > 0
    assert sum(difference.histogram or ()) == r.size - left_out


# -- complex -----------------------------------------------------------------------------------------------------------


def test_complex_numbers_are_pairs() -> None:
    random = np.random.default_rng(6)
    r = random.standard_normal((20, 30)) + 1e-3j * random.standard_normal((20, 30))

    def noisy() -> Array:
        real, imaginary = (part * (1 + 2.0**-23 * random.standard_normal(r.shape)) for part in (r.real, r.imag))
        result: Array = (real + 1j * imaginary).astype(np.complex64)
        return result

    reference = make_reference(r, noisy(), [noisy() for _ in range(4)], "complex64")
    assert check(noisy(), reference).ok
    wrong = noisy()
    wrong[3, 4] += np.complex64(1e-6j)
    wrong.imag *= np.float32(1 + 3e-6)
    difference = check(wrong, reference)
    assert not difference.ok
    assert "in the imaginary parts (1.5 may be lost)" in difference.message
    assert "the imaginary part of output[0][3, 4] is " in difference.message


# -- integers and bools ------------------------------------------------------------------------------------------------


def test_integers_must_be_equal() -> None:
    eager = np.arange(20).reshape(4, 5)
    reference = make_reference(None, eager, [eager], "int64")
    assert check(eager.copy(), reference) == Difference(ok=True, max_abs=0.0, identical=True)
    wrong = eager.copy()
    wrong[1, 2], wrong[3, 4] = 8, 40
    difference = check(wrong, reference, Tolerance(rtol=10, atol=100))
    assert (difference.ok, difference.max_abs, difference.bits) == (False, 21.0, None)
    assert difference.message == (
        "wrong values: output[0][3, 4] is 40, PyTorch gives 19; 2 of 20 elements differ, and integers must be equal"
    )


def test_bools_must_be_equal() -> None:
    eager = np.arange(6) % 2 == 0
    reference = make_reference(None, eager, [], "bool")
    assert check(~eager, reference).message == (
        "wrong values: output[0][0] is False, PyTorch gives True; 6 of 6 elements differ, and bools must be equal"
    )


def test_large_integers_differ_by_one() -> None:
    eager = np.array([2**63 - 1, 0])
    reference = make_reference(None, eager, [], "int64")
    assert "output[0][0] is 9223372036854775806, PyTorch gives 9223372036854775807" in (
        check(eager - np.array([1, 0]), reference).message
    )


# -- dtype and shape ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "expected", "words"),
    [
        ("int32", "int64", "has dtype int32, PyTorch returns int64 (narrowed)"),
        ("int64", "int32", "has dtype int64, PyTorch returns int32 (widened)"),
        ("float16", "float32", "has dtype float16, PyTorch returns float32 (narrowed)"),
        ("float32", "float64", "has dtype float32, PyTorch returns float64 (narrowed)"),
        ("complex64", "complex128", "has dtype complex64, PyTorch returns complex128 (narrowed)"),
        ("uint8", "bool", "has dtype uint8, PyTorch returns bool"),
        ("float32", "int64", "has dtype float32, PyTorch returns int64"),
        ("float32", "complex64", "has dtype float32, PyTorch returns complex64"),
    ],
)
def test_another_dtype(dtype: str, expected: str, words: str) -> None:
    values = np.array([0, 1, 3, 1])
    reference = make_reference(
        values.astype(np.complex128 if "complex" in expected else np.float64),
        values.astype(expected),
        [],
        expected,
    )
    difference = check(values.astype(dtype), reference, dtype=dtype)
    assert not difference.ok
    assert difference.message == f"output[0] {words}"


def test_another_dtype_still_has_bits() -> None:
    r = some(10, 10)
    difference = check(r.astype(np.float16), simple(r), dtype="float16")
    assert not difference.ok
    assert difference.bits is not None
    assert 10 < difference.bits < 14


def test_another_shape_and_both() -> None:
    reference = simple(some(2, 10))
    assert check(np.zeros((1, 10), np.float32), reference).message == (
        "output[0] has shape (1, 10), PyTorch returns (2, 10)"
    )
    assert check(np.zeros((1, 10), np.float16), reference, dtype="float16").message == (
        "output[0] has dtype float16, PyTorch returns float32 (narrowed); and shape (1, 10), PyTorch returns (2, 10)"
    )
    assert (
        check(np.array(1, np.float32), simple(np.array([1.0]))).message
        == "output[0] has shape (), PyTorch returns (1,)"
    )


# -- explicit tolerances -----------------------------------------------------------------------------------------------


def test_rtol_and_atol_replace_the_rule() -> None:
    r = np.array([1.0, 10.0, 0.0, -100.0])
    reference = simple(r)
    actual = (r + np.array([1e-3, 1e-2, 1e-3, 0.1])).astype(np.float32)
    assert not check(actual, reference).ok
    assert check(actual, reference, Tolerance(rtol=1e-3, atol=1.001e-3)).ok
    difference = check(actual, reference, Tolerance(rtol=1.1e-3))
    assert difference.message == (
        "wrong values: output[0][2] is 0.001, PyTorch gives 0; beyond rtol=0.0011 in 1 of 4 elements; "
        "it would need rtol=0.0011, atol=0.00101"
    )
    assert check(actual, reference, Tolerance(rtol=1.1e-3, atol=0.00101)).ok
    difference = check(actual, reference, Tolerance(atol=0.005))
    assert difference.message == (
        "wrong values: output[0][3] is -99.9, PyTorch gives -100; beyond atol=0.005 in 2 of 4 elements; "
        "it would need rtol=0.00095, atol=0.005 or atol=0.1"
    )
    assert check(actual, reference, Tolerance(rtol=0.00095, atol=0.005)).ok
    assert check(actual, reference, Tolerance(atol=0.1)).ok
    assert difference.bits is not None
    assert difference.max_abs == pytest.approx(0.1, rel=1e-4)


def test_cosine_replaces_the_rule() -> None:
    r = some(1000)
    reference = simple(r)
    actual = (r + 0.1 * np.random.default_rng(8).standard_normal(1000)).astype(np.float32)
    assert check(actual, reference, Tolerance(cosine=0.99)).ok
    difference = check(actual, reference, Tolerance(cosine=0.999))
    found = re.fullmatch(
        r"wrong values: output\[0\]\[\d+\] is \S+, PyTorch gives \S+; "
        r"its cosine similarity is 0\.99\d+ \(at least 0.999 is asked for\); it would need cosine=(\S+)",
        difference.message,
    )
    assert found, difference.message
    assert check(actual, reference, Tolerance(cosine=float(found[1]))).ok
    assert not check(np.zeros_like(actual), reference, Tolerance(cosine=0.5)).ok
    both = check(actual, reference, Tolerance(atol=1e-3, cosine=0.999)).message
    assert "beyond atol=0.001 in 994 of 1000 elements" in both
    assert "cosine similarity" in both


def test_bits_replace_the_rule() -> None:
    r = some(1000)
    reference = simple(r)
    actual = (r + 0.1 * np.random.default_rng(8).standard_normal(1000)).astype(np.float32)
    assert check(actual, reference, Tolerance(bits=3)).ok
    difference = check(actual, reference, Tolerance(bits=4))
    found = re.fullmatch(
        r"wrong values: output\[0\]\[\d+\] is \S+, PyTorch gives \S+; "
        r"3\.3 bits are right \(at least 4 are asked for\); it would need bits=(\S+)",
        difference.message,
    )
    assert found, difference.message
    assert check(actual, reference, Tolerance(bits=float(found[1]))).ok
    assert "it would need" not in check(-actual, reference, Tolerance(bits=4)).message
    # A wrong scale, bias or place is no loss of a few bits.
    for wrong in (actual * 1.1, actual + 0.1, np.roll(actual, 1), np.zeros_like(actual)):
        assert not check(wrong.astype(np.float32), reference, Tolerance(bits=4)).ok
    both = check(actual, reference, Tolerance(bits=4, cosine=0.999)).message
    assert "cosine similarity" in both
    assert "bits are right" in both


def test_every_slice_has_a_bit() -> None:
    """Scores beside boxes in pixels: a tensor's bits are the boxes'."""
    random = np.random.default_rng(3)
    r = random.standard_normal((100, 5)) * [300, 300, 300, 300, 1]
    reference = simple(r)
    rounded = (np.round(r / 16) * 16).astype(np.float32)  # one step for all
    difference = check(rounded, reference, Tolerance(bits=4))
    found = re.fullmatch(
        r"wrong values: output\[0\]\[(\d+), 4\] is 0, PyTorch gives (\S+); "
        r"[56]\.\d bits are right, but 0\.0 in output\[0\]\[:, 4\] \(at least 1 in each slice\)",
        difference.message,
    )
    assert found, difference.message
    assert float(found[2]) == pytest.approx(r[int(found[1]), 4], rel=1e-2)
    assert abs(float(found[2])) == pytest.approx(np.abs(r[:, 4]).max(), rel=1e-2)
    assert difference.worst_index == (int(found[1]), 4)
    # A step of its own.
    rounded[:, 4] = np.round(r[:, 4] * 4) / 4
    assert check(rounded, reference, Tolerance(bits=4)).ok
    rounded[:, 4] *= -1
    assert "but -1.0 in output[0][:, 4]" in check(rounded, reference, Tolerance(bits=4)).message
    # Who asks for one bit, asks for no more; and other rules have nothing to do with it.
    assert check(rounded, reference, Tolerance(bits=1)).ok
    assert check(rounded, reference, Tolerance(atol=10)).ok
    # Zeros, tails, noise and slices of a few elements tell nothing.
    for size in (0.0, 1e-2):
        small = r * [1, 1, 1, 1, size]
        other = np.add(small, [0, 0, 0, 0, 0.02])
        assert check(other.astype(np.float32), simple(small), Tolerance(bits=4)).ok, size
    runs = [(r + random.standard_normal(r.shape)).astype(np.float32) for _ in range(4)]
    noisy = make_reference(r, runs[0], runs[1:], "float32")
    assert check((r + 2 * random.standard_normal(r.shape)).astype(np.float32), noisy, Tolerance(bits=4)).ok
    assert check(rounded[:60], simple(r[:60]), Tolerance(bits=4)).ok


def test_no_more_bits_are_asked_for_than_faithful_arithmetic_has() -> None:
    r = some(1000)

    def run(seed: int, size: float = 0.01) -> Array:
        return (r + size * np.random.default_rng(seed).standard_normal(1000)).astype(np.float32)

    reference = make_reference(r, run(0), [run(seed) for seed in (1, 2, 3)], "float32")
    assert reference.reference_bits is not None
    assert 6 < reference.reference_bits < 7
    assert check(run(9), reference, Tolerance(bits=9)).ok
    assert not check(run(9, 0.05), reference, Tolerance(bits=9)).ok
    assert check(run(9, 0.05), reference, Tolerance(bits=4)).ok
    # Other rules are asked for beside it.
    assert not check(run(9), reference, Tolerance(bits=9, rtol=1e-6)).ok
    assert not check(run(9), replace(reference, reduced=True), Tolerance(bits=9)).ok


def test_integers_may_differ_in_a_share_of_the_bits_asked_for() -> None:
    classes = np.arange(64, dtype=np.int64)
    reference = make_reference(classes, classes, [classes] * 5, "int64")
    flipped = classes.copy()
    flipped[:4] += 1
    assert check(flipped, reference, Tolerance(bits=4)).ok
    flipped[:5] = 1000
    assert check(flipped, reference, Tolerance(bits=4)).message.endswith(
        "5 of 64 elements differ, and 4 integers may (bits=4)"
    )


def test_pixels_may_be_levels_apart_where_the_case_says_so_and_indices_never() -> None:
    image = np.arange(64, dtype=np.uint8)
    reference = make_reference(image, image, [image] * 5, "uint8")
    near = image.copy()
    near[5:8] += 1
    message = check(near, reference).message
    assert message.endswith(
        "3 of 64 elements differ, and integers must be equal; "
        "if they are pixels, Tolerance(levels=1) lets them be 1 apart"
    )
    within = check(near, reference, Tolerance(levels=1))
    assert (within.ok, within.max_abs) == (True, 1.0)
    near[5] = 0
    message = check(near, reference, Tolerance(levels=1)).message
    assert "[5] is 0, PyTorch gives 5; 1 of 64 elements differ" in message
    assert message.endswith("integers may be 1 apart (levels=1)")
    assert "levels" not in check(near, reference).message
    # 0 and 255 are far from each other, whatever their difference in eight bits.
    image[5] = 255
    assert not check(near, make_reference(image, image, [image] * 5, "uint8"), Tolerance(levels=1)).ok
    indices = np.arange(64, dtype=np.int64)
    other = make_reference(indices, indices, [indices] * 5, "int64")
    assert check(indices, other, Tolerance(levels=1)).ok
    message = check(indices + 1, other, Tolerance(levels=1)).message
    assert message.endswith("64 of 64 elements differ, and integers must be equal")
    assert "levels" not in check(indices + 1, other).message


def test_explicit_tolerances_still_want_nan_where_eager_has_it() -> None:
    r = with_specials()
    actual = faithful(r)
    assert check(actual, simple(r), Tolerance(rtol=1e-5)).ok
    assert check(actual, simple(r), Tolerance(cosine=0.9)).ok
    actual[3, 3] = np.nan
    assert not check(actual, simple(r), Tolerance(rtol=1e9)).ok


def test_without_float64_the_tolerance_depends_on_the_dtype() -> None:
    r = some(20, 20)
    eager = faithful(r)
    eager[0, 0] = -np.inf
    reference = make_reference(None, eager, [eager, eager], "float32")
    assert reference.kind == "tolerance"
    actual = (eager * np.float32(1 + 1e-6)).astype(np.float32)
    difference = check(actual, reference)
    assert difference.ok
    assert (difference.bits, difference.reference_bits, difference.loss, difference.worst) == (None,) * 4
    assert check(eager.copy(), reference).ok
    actual[4, 5] += np.float32(0.01)
    message = check(actual, reference).message
    assert message.startswith("wrong values: output[0][4, 5] is ")
    assert "; beyond rtol=0.0001, atol=0.000" in message
    assert ", the default for float32 without a pure float64 run, in 1 of 400 elements; it would need" in message
    actual[0, 0] = 0
    assert "output[0][0, 0] is 0, PyTorch gives -inf" in check(actual, reference).message
    assert not check(eager.astype(np.float16).astype(np.float32), reference).ok
