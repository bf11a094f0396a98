"""Two results that differ from the reference alike, and those that only both differ from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pytest_modelconform.compare import Reference, make_reference
from pytest_modelconform.compare.agreement import agree, sample
from pytest_modelconform.terms.case import Tolerance
from tests.support.synthetic import Array, faithful, numbers, reference

R = numbers(40, 50)
REFERENCE = reference(R)


def agreeing(one: Array, two: Array, judge: Reference = REFERENCE) -> bool:
    return agree({"": sample(one, judge)}, {"": two}, {"": judge}, Tolerance())


def test_the_same_fault_twice_within_rounding() -> None:
    wrong = R * 1.01
    assert agreeing(faithful(wrong, 1), faithful(wrong, 2))
    assert agreeing(faithful(wrong, 1), faithful(wrong, 1))


def test_a_small_fault_that_two_have_in_common() -> None:
    wrong = R + 3e-5 * numbers(40, 50, seed=7)
    assert agreeing(faithful(wrong, 1), faithful(wrong, 2))


def test_results_of_another_size_round_in_their_own_way() -> None:
    wrong = 1e4 * numbers(40, 50, seed=7)
    assert agreeing(faithful(wrong, 1), faithful(wrong, 2))


@pytest.mark.parametrize(
    "other",
    [R * 0.99, R + 0.01 * numbers(40, 50, seed=3), R, np.roll(R, 1, 0), np.full_like(R, np.nan)],
    ids=["the other way", "elsewhere", "none", "rows", "nan"],
)
def test_faults_of_their_own(other: Array) -> None:
    wrong = faithful(R * 1.01, 1)
    assert not agreeing(wrong, faithful(other, 2))
    assert not agreeing(faithful(other, 2), wrong)


def test_two_that_are_right_have_no_fault_in_common() -> None:
    assert not agreeing(faithful(R, 1), faithful(R, 2))


def test_what_is_just_over_the_limit_is_no_common_fault() -> None:
    """Each loses three bits on its own: they share the reference, and nothing else."""
    one, two = (
        faithful(R, seed, np.float32) + (1e-6 * numbers(40, 50, seed=seed + 20)).astype(np.float32) for seed in (1, 2)
    )
    assert not agreeing(one, two)


def test_one_wrong_element_in_many_is_in_the_sample() -> None:
    r = numbers(1000, 1000)
    judge = reference(r)
    wrong, other = r.copy(), r.copy()
    wrong[777, 333] += 1
    other[123, 456] += 1
    kept = sample(faithful(wrong, 1), judge)
    assert kept.indices.size <= 4096
    assert agree({"": kept}, {"": faithful(wrong, 2)}, {"": judge}, Tolerance())
    assert not agree({"": kept}, {"": faithful(other, 2)}, {"": judge}, Tolerance())


def test_integers_and_bools() -> None:
    r = np.arange(100)
    judge = reference(r)
    wrong = r.copy()
    wrong[10:20] += 1
    other = r.copy()
    other[50:60] += 1
    assert agreeing(wrong, wrong.copy(), judge)
    assert not agreeing(wrong, other, judge)
    flags = r % 3 == 0
    assert agreeing(~flags, ~flags, reference(flags))


def test_the_same_wrong_shape() -> None:
    found = faithful(numbers(30, 50, seed=5))
    assert agreeing(found, faithful(found.astype(np.float64), 2))
    assert not agreeing(found, faithful(numbers(30, 50, seed=6)))
    assert not agreeing(found, faithful(numbers(50, 30, seed=5)))
    empty = np.zeros((0, 32), np.float32)
    assert agreeing(empty, empty.copy())


def test_nan_in_the_same_places() -> None:
    wrong = faithful(R, 1)
    wrong[:, 3] = np.nan
    assert agreeing(wrong, wrong.copy())


def test_without_a_float64_run_the_lenient_tolerance_counts() -> None:
    e = R.astype(np.float32)
    judge = make_reference(None, e, [], "float32")
    assert agreeing(faithful(R * 1.01, 1), faithful(R * 1.01, 2), judge)
    assert not agreeing(faithful(R * (1 + 1e-5), 1), faithful(R * (1 + 1e-5), 2), judge)


def test_complex_numbers_and_unstable_positions() -> None:
    r = numbers(200) + 1j * numbers(200, seed=1)
    judge = make_reference(r, r.astype(np.complex64), [r.astype(np.complex64)] * 4, "complex64")
    assert agreeing((r * 1.01).astype(np.complex64), (r * 1.01).astype(np.complex64), judge)
    codes = np.zeros(2000, np.uint8)
    codes[:50] = 3
    unstable = make_reference(R, faithful(R, 0), [faithful(R, k) for k in range(4)], "float32", unstable=codes > 0)
    wrong = faithful(R, 1)
    wrong.reshape(-1)[:50] += 1
    assert not agreeing(wrong, wrong.copy(), unstable)


def test_all_outputs_count() -> None:
    wrong, right = R * 1.01, R
    judges = {"a": REFERENCE, "b": REFERENCE}

    def two(a: Array, b: Array, c: Array, d: Array) -> bool:
        samples = {"a": sample(faithful(a, 1), REFERENCE), "b": sample(faithful(b, 1), REFERENCE)}
        found: Any = {"a": faithful(c, 2), "b": faithful(d, 2)}
        return agree(samples, found, judges, Tolerance())

    assert two(wrong, right, wrong, right)
    assert two(wrong, wrong, wrong, wrong)
    assert not two(wrong, right, wrong, wrong)
    assert not two(wrong, right, right, wrong)
    assert not agree({"a": sample(faithful(wrong, 1), REFERENCE)}, {"b": faithful(wrong, 1)}, judges, Tolerance())
