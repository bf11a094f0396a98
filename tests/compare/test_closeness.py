"""Numbers that neither `bits` nor `cosine` holds are judged among themselves."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_modelconform.compare import Reference, make_reference
from pytest_modelconform.terms.case import Tolerance
from tests.support.checking import check
from tests.support.synthetic import Array, faithful, numbers

LOWEST = float(np.finfo(np.float32).min)
R = numbers(12, 70)
R[:, 3] = LOWEST
R[4, 5] = 2e31


def made(pure: bool) -> Reference:
    return make_reference(R if pure else None, faithful(R, 1), [faithful(R, seed) for seed in (2, 3, 4)], "float32")


def with_huge(factor: float) -> Array:
    return np.where(np.abs(R) > 1e30, factor * R, R).astype(np.float32)


@pytest.mark.parametrize("pure", [True, False])
@pytest.mark.parametrize("tolerance", [Tolerance(bits=4.0), Tolerance(cosine=0.998), Tolerance(bits=2.0, cosine=0.998)])
def test_huge_numbers_have_to_be_right_among_themselves(pure: bool, tolerance: Tolerance) -> None:
    reference = made(pure)
    assert check(faithful(R), reference, tolerance).ok
    assert check(with_huge(1 - 2.0**-5), reference, tolerance).ok
    for factor in (0.9, 0.0, 1e-30, -1.0, 1 - 2.0**-3.8):
        found = check(with_huge(factor), reference, tolerance)
        assert not found.ok
        assert " bits are right of numbers from 1e30 on (at least " in found.message
        assert "it would need" not in found.message
        assert found.worst_index is not None
        assert abs(R[found.worst_index]) > 1e30
    one = faithful(R)
    one[4, 5] = 7.0
    found = check(one, reference, tolerance)
    assert not found.ok
    assert found.message.startswith(
        "wrong values: output[0][4, 5] is 7, PyTorch gives 2e+31; 0.0 bits are right of numbers from 1e30 on"
    )


@pytest.mark.parametrize("tolerance", [Tolerance(bits=9.0), Tolerance(cosine=0.999)])
def test_what_float16_has_no_room_for(tolerance: Tolerance) -> None:
    y = faithful(R)
    y[:, 3] = -65504.0
    assert check(y, made(True), tolerance).ok
    y[:, 3] = 65504.0
    assert not check(y, made(True), tolerance).ok


def test_of_zeros_nothing_is_asked_but_that_they_are_finite() -> None:
    assert check(with_huge(0.0), made(True), Tolerance(bits=-60.0)).ok
