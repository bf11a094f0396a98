"""Between faithful and wrong: what is close on its own scale, and the words for what it lost."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from pytest_modelconform.compare import Difference, Reference, make_reference
from pytest_modelconform.compare.imprecise import SCALES
from pytest_modelconform.compare.words import beyond
from pytest_modelconform.terms.case import DEFAULTS, Tolerance
from tests.support.checking import check

Array = np.ndarray[Any, Any]
# Probabilities down to 1e-12, as a detector of pitches gives them.
TAILS: Array = 10.0 ** np.random.default_rng(5).uniform(-12, 0, (64, 70))


def reference(r: Array, dtype: str = "float32", size: float = 2.0**-23, **more: Any) -> Reference:
    """A reference whose noise is relative, about a unit."""
    random = np.random.default_rng(0)
    numpy_dtype = {"bfloat16": ml_dtypes.bfloat16}.get(dtype, dtype)
    runs = [(r * (1 + size * random.standard_normal(r.shape))).astype(numpy_dtype) for _ in range(5)]
    return make_reference(r, runs[0], runs[1:], dtype, **more)


def absolutely(r: Array, size: float, dtype: Any = np.float32) -> Array:
    """What is right but for an error of one size everywhere."""
    result: Array = (r + size * np.random.default_rng(1).uniform(-1, 1, r.shape)).astype(dtype)
    return result


def verdict(difference: Difference) -> str:
    return "pass" if difference.ok else "imprecise" if difference.close else "mismatch"


def test_a_sigmoid_that_is_right_absolutely() -> None:
    difference = check(absolutely(TAILS, 3e-8), reference(TAILS))
    assert verdict(difference) == "imprecise"
    assert difference.bits is not None
    assert difference.loss is not None
    assert difference.loss > 2
    said = re.search(
        r"; right to (\d+) bits of the tensor's scale; values below (\S+) keep (\d+) bits;", difference.message
    )
    assert said is not None
    bits, below, kept = int(said[1]), float(said[2]), int(said[3])
    assert bits == int(difference.bits)
    assert 1e-6 < below < 1e-3
    # As a reader would count them: signal over error of the small values alone. `below` is rounded to a digit.
    small = below > TAILS
    error = absolutely(TAILS, 3e-8).astype(np.float64) - TAILS
    counted = np.log2(np.sqrt((TAILS[small] ** 2).mean() / (error[small] ** 2).mean()))
    assert abs(counted - kept) < 1.5
    assert kept <= bits / 2


def test_an_error_that_is_the_same_everywhere_has_no_small_values_to_name() -> None:
    r = 1.0 + np.random.default_rng(3).random((64, 70))
    difference = check(
        (r * (1 + 1e-5 * np.random.default_rng(1).standard_normal(r.shape))).astype(np.float32), reference(r)
    )
    assert verdict(difference) == "imprecise"
    assert "right to 16 bits of the tensor's scale; it would need" in difference.message


@pytest.mark.parametrize(("size", "is_close"), [(0.9, True), (1.1, False)])
def test_no_element_is_off_by_more_than_2_to_the_minus_14(size: float, is_close: bool) -> None:
    r = np.random.default_rng(3).standard_normal((64, 70))
    rms = float(np.sqrt((r**2).mean()))
    y = r.astype(np.float32)
    r[5, 6] = y[5, 6] = 0.25
    y[5, 6] += np.float32(size * 2.0**-14 * rms)
    assert verdict(check(y, reference(r))) == ("imprecise" if is_close else "mismatch")
    # A large element may be off by its own size.
    r[5, 6], y[5, 6] = 8.0, np.float32(8.0 * (1 + size * 2.0**-14))
    found = check(y, reference(r))
    assert verdict(found) == ("imprecise" if is_close else "mismatch")


def test_under_sixteen_bits_nothing_is_close() -> None:
    r = np.random.default_rng(3).standard_normal((64, 70))
    for size, said in ((2.0**-16.4, "imprecise"), (2.0**-15.6, "mismatch")):
        found = check(
            (r + size * np.sign(np.random.default_rng(1).standard_normal(r.shape))).astype(np.float32), reference(r)
        )
        assert verdict(found) == said


def test_wrong_scores_do_not_hide_behind_large_boxes() -> None:
    random = np.random.default_rng(3)
    r = np.concatenate([random.uniform(0, 500, (100, 4)), random.uniform(0, 0.002, (100, 1))], axis=1)
    y = r.astype(np.float32)
    y[:, 4] = y[::-1, 4]
    found = check(y, reference(r))
    assert found.bits is not None
    assert found.bits > SCALES["float32"].bits  # of the whole tensor's scale, hardly a thing is wrong
    assert verdict(found) == "mismatch"
    # What is off by units of the boxes' last place is no matter of scores alone.
    y[:, 4] = r[:, 4] * (1 + 1e-3 * random.standard_normal(100))
    assert verdict(check(y, reference(r))) == "imprecise"


@pytest.mark.parametrize(
    ("dtype", "size", "said"),
    [
        ("float64", 1e-15, "imprecise"),
        ("float64", 1e-11, "mismatch"),
        ("complex64", 3e-8, "imprecise"),
        ("float16", 1e-3, "imprecise"),
        ("float16", 2e-2, "mismatch"),
        ("bfloat16", 1e-2, "mismatch"),
    ],
)
def test_other_dtypes(dtype: str, size: float, said: str) -> None:
    r = TAILS if dtype == "float64" else 10.0 ** np.random.default_rng(5).uniform(-3, 0, (64, 70))
    if dtype == "complex64":
        r = TAILS * (1 + 1j)
    numpy_dtype = {"bfloat16": ml_dtypes.bfloat16}.get(dtype, dtype)
    unit = {"float64": 2.0**-52, "float16": 2.0**-11, "bfloat16": 2.0**-8}.get(dtype, 2.0**-23)
    assert verdict(check(absolutely(r, size, numpy_dtype), reference(r, dtype, unit), dtype=dtype)) == said


def test_only_what_fails_by_noise_is_close() -> None:
    y, known = absolutely(TAILS, 3e-8), reference(TAILS)
    assert verdict(check(y, known)) == "imprecise"
    assert verdict(check(y, known, Tolerance(rtol=1e-6))) == "mismatch"
    assert verdict(check(y, known, Tolerance(cosine=1.0))) == "mismatch"
    assert verdict(check(y.astype(np.float64), known, dtype="float64")) == "mismatch"
    assert verdict(check(y[:63], known)) == "mismatch"
    strange = y.copy()
    strange[3, 4] = np.nan
    assert verdict(check(strange, known)) == "mismatch"
    integers = np.arange(100)
    exact = make_reference(None, integers, [integers] * 4, "int64")
    assert verdict(check(integers + (integers == 99), exact)) == "mismatch"


def test_limits_of_ones_own_admit_it_and_fast_modes_do_not() -> None:
    y, known = absolutely(TAILS, 3e-8), reference(TAILS)
    assert verdict(check(y, known, Tolerance(bits_lost=0.5, worst=1.0, strict=True))) == "imprecise"
    assert verdict(check(y, replace(known, reduced=True))) == "mismatch"


def test_numbers_over_a_limit_never_look_like_it() -> None:
    found = [
        beyond(value, limit)
        for value, limit in ((2.04, 2.0), (12.13, 2.0), (2.0001, 2.0), (4.06, 4.0), (2.0 + 1e-9, 2.0))
    ]
    assert found == ["2.04", "12.1", "2.0001", "4.1", "2.000000"]


def test_a_loss_on_the_line_is_printed_beyond_it() -> None:
    r = np.random.default_rng(3).standard_normal((64, 70))
    known = reference(r)
    assert known.noise is not None
    lost = DEFAULTS["float32"][0] + 0.03
    y = r + float(known.noise[0]) * 2.0**lost * np.sign(np.random.default_rng(1).standard_normal(r.shape))
    message = check(y.astype(np.float32), known, Tolerance(worst=99.0)).message
    kept, whole, limit = re.findall(r"(\S+) of (\S+) significant bits agree .*?\((\S+) may be lost\)", message)[0]
    assert float(whole) - float(kept) > float(limit)
