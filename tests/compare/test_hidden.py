"""What is so large that it would hide the others: those are judged without it, too."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_modelconform.compare import Difference, Reference, compare_tensor, make_reference
from pytest_modelconform.terms.case import Tolerance
from tests.support.synthetic import Array, faithful, numbers

R = numbers(20, 40)
LIMITS = Tolerance(bits_lost=1.5, worst=4.0)


def made(r: Array, dtype: str = "float32") -> Reference:
    runs = [run(r, seed, dtype) for seed in range(4)]
    return make_reference(r, runs[0], runs[1:], dtype)


def run(r: Array, seed: int, dtype: str = "float32") -> Array:
    """A faithful result, in which a mask is what it is."""
    noise = {"float32": 1e-7, "float16": 5e-4}[dtype]
    factor = 1 + noise * numbers(*r.shape, seed=50 + seed)
    return np.where(np.abs(r) > 1e3, r, r * factor).astype(dtype)


def judged(y: Array, reference: Reference) -> Difference:
    return compare_tensor(y, reference, LIMITS, where="output", dtype=reference.dtype)


def masked(value: float, share: int = 7) -> Array:
    r = R.copy()
    r.reshape(-1)[::share] = value
    return r


@pytest.mark.parametrize(("value", "dtype"), [(-1e9, "float32"), (3e7, "float32"), (-1e4, "float16")])
@pytest.mark.parametrize("share", [1000, 7, 2])
def test_logits_beside_a_mask(value: float, dtype: str, share: int) -> None:
    r = masked(value, share)
    reference = made(r, dtype)
    assert reference.rest is not None
    assert reference.rest.unstable == np.count_nonzero(r == value)
    assert all(judged(run(r, seed, dtype), reference).ok for seed in range(10, 30))
    wrong = np.where(r == value, r, -r).astype(dtype)
    difference = judged(wrong, reference)
    assert not difference.ok
    assert not difference.close
    if (share, value) != (1000, -1e4):  # of one in 800, not so large, the others count for enough
        assert difference.bits is not None
        assert difference.bits < 1
        count = np.count_nonzero(r == value)
        those = f"{count} element{'' if count == 1 else 's'}"
        assert difference.message.endswith(f"; that is without {those} so large that the others would hardly count")
    # The mask itself counts as before.
    half = np.where(r == value, r / 2, r).astype(dtype)
    assert not judged(half, reference).ok
    assert "that is without" not in judged(half, reference).message


def test_a_second_size_is_taken_apart_in_turn() -> None:
    r = masked(-1e19)
    r[:, 3] = 1e8
    reference = made(r)
    assert reference.rest is not None
    assert reference.rest.rest is not None
    assert reference.rest.rest.rest is None
    assert judged(run(r, 10), reference).ok
    for wrong in (np.where(np.abs(r) < 1e3, r[::-1], r), np.where(r == 1e8, 1.001e8, r)):
        assert not judged(wrong.astype(np.float32), reference).ok


@pytest.mark.parametrize(
    "r",
    [
        R,
        np.exp(2 * R),
        R * np.logspace(-3, 3, 40),
        np.where(R > 1.5, R, 0.0),
        masked(1e3),
        np.full((20, 40), -1e9),
        np.where(numbers(20, 40) > -2.5, -1e9, R),
    ],
    ids=["normal", "exponentials", "columns", "sparse", "seen all the same", "masks alone", "fewer than sixteen left"],
)
def test_nothing_is_taken_apart_where_nothing_is_hidden(r: Array) -> None:
    assert made(r).rest is None


def test_noise_that_is_all_that_is_left_is_not_asked_for() -> None:
    """Differences of equal numbers beside a mask: they have no bits."""
    r = np.where(R > 0, -1e9, 1e-9 * R)
    runs = [np.where(R > 0, -1e9, 1e-7 * numbers(20, 40, seed=seed)).astype(np.float32) for seed in range(4)]
    assert make_reference(r, runs[0], runs[1:], "float32").rest is None


def test_it_is_stored() -> None:
    r = masked(-1e19)
    r[:, 3] = 1e8
    reference = made(r)
    again = Reference.from_arrays(*reference.to_arrays())
    wrong = np.where(np.abs(r) < 1e3, r[::-1], r).astype(np.float32)
    assert judged(wrong, again) == judged(wrong, reference)
    assert not judged(wrong, again).ok
    assert again.rest is not None
    assert again.rest.rest is not None
    assert judged(faithful(R, 3), made(R)) == judged(faithful(R, 3), Reference.from_arrays(*made(R).to_arrays()))
