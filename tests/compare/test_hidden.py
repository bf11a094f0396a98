"""What is so large that it would hide the others: those are judged without it, too."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_modelconform.compare import Difference, Reference, compare_tensor, make_reference
from pytest_modelconform.compare.more_noise import with_more_noise
from pytest_modelconform.terms.case import Tolerance
from pytest_modelconform.workers.arrays import numpy_dtype as numpy_dtype_of
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


# -- Tolerances that are a share of the tensor's size ------------------------------------------------------------------

SHARES = [
    (True, Tolerance(bits=4.0)),
    (True, Tolerance(bits=9.0)),
    (True, Tolerance(cosine=0.999)),
    (True, Tolerance(bits=9.0, rtol=1e9)),
    (False, Tolerance()),
    (False, Tolerance(bits=4.0)),
    (False, Tolerance(cosine=0.999)),
]


def shared(y: Array, reference: Reference, tolerance: Tolerance) -> Difference:
    return compare_tensor(y.astype(reference.dtype), reference, tolerance, where="output", dtype=reference.dtype)


def made_as(r: Array, pure: bool, dtype: str = "float32") -> Reference:
    runs = [run(r, seed, dtype) for seed in range(4)]
    return make_reference(r if pure else None, runs[0], runs[1:], dtype)


@pytest.mark.parametrize(("pure", "tolerance"), SHARES)
@pytest.mark.parametrize(("value", "dtype"), [(-1e9, "float32"), (-1e4, "float32"), (-1e4, "float16")])
@pytest.mark.parametrize("share", [7, 2])
def test_a_mask_hides_nothing_from_a_tolerance(
    value: float, dtype: str, share: int, pure: bool, tolerance: Tolerance
) -> None:
    r = masked(value, share)
    reference = made_as(r, pure, dtype)
    assert all(shared(run(r, seed, dtype), reference, tolerance).ok for seed in range(10, 30))
    for wrong in (-R, np.zeros_like(R), R[::-1]):
        difference = shared(np.where(r == value, r, wrong), reference, tolerance)
        assert not difference.ok
        count = np.count_nonzero(r == value)
        those = f"; that is without {count} elements so large that the others would hardly count"
        # The default without float64, 1e-4 of 1e4, sees some of it all the same.
        assert difference.message.endswith(those) or (value, tolerance) == (-1e4, Tolerance())
        assert difference.bits is None or difference.bits < 1


def test_what_is_right_of_the_others_is_what_is_said() -> None:
    """Of so many bits of masks nobody asks."""
    r = masked(-1e9)
    found = shared(np.where(r == -1e9, r, r * (1 + 2.0**-6)), made_as(r, True), Tolerance(bits=4.0))
    assert found.ok
    assert found.bits == pytest.approx(6.0, abs=0.01)
    assert found.reference_bits is not None
    assert 20 < found.reference_bits < 24


def test_few_actions_beside_those_that_are_not_allowed() -> None:
    r = np.array([0.5, -1e8, 0.25, -1e8, -1e8, -0.125])
    reference = made_as(r, True)
    assert shared(r, reference, Tolerance(bits=4.0)).ok
    assert not shared(r[::-1].copy() * [0, 0, 1, 0, 0, 1] + np.where(r < -1, r, 0), reference, Tolerance(bits=4.0)).ok


def test_element_by_element_masks_hide_nothing() -> None:
    r = masked(-1e9)
    off = np.where(r == -1e9, r, r + 0.5)
    for pure in (True, False):
        assert shared(off, made_as(r, pure), Tolerance(atol=1.0)).ok
        assert not shared(off, made_as(r, pure), Tolerance(atol=0.25)).ok


def test_masks_of_two_sizes_are_taken_apart_in_turn_from_a_tolerance() -> None:
    r = masked(-1e19)
    r[:, 3] = 1e8
    for pure, tolerance in SHARES[1:]:
        reference = made_as(r, pure)
        assert shared(run(r, 10), reference, tolerance).ok
        assert not shared(np.where(np.abs(r) < 1e3, r[::-1], r), reference, tolerance).ok
        again = Reference.from_arrays(*reference.to_arrays())
        wrong = np.where(np.abs(r) < 1e3, r[::-1], r)
        assert shared(wrong, again, tolerance) == shared(wrong, reference, tolerance)
        if tolerance.cosine is None:
            assert not shared(np.where(r == 1e8, 2e8, r), reference, tolerance).ok


@pytest.mark.parametrize("r", [np.exp(9 * R) / np.exp(9 * R).sum(1, keepdims=True), masked(200.0), 1e5 * R], ids=str)
def test_tails_may_be_lost_to_a_tolerance_that_lets_them(r: Array) -> None:
    """An int8 softmax has no step for them."""
    for pure in (True, False):
        reference = made_as(r, pure)
        assert reference.unmasked is None
        assert shared(np.where(np.abs(r) < 1e-4 * np.abs(r).max(), 0.0, r), reference, Tolerance(bits=4.0)).ok


def test_rounding_alone_beside_a_mask_is_not_asked_for() -> None:
    r = np.where(R > 0, -1e9, 1e-9 * R)
    runs = [np.where(R > 0, -1e9, 1e-7 * numbers(20, 40, seed=seed)).astype(np.float32) for seed in range(5)]
    for wide in (r, None):
        reference = make_reference(wide, runs[0], runs[1:4], "float32")
        assert reference.unmasked is None
        for tolerance in (Tolerance(bits=4.0), Tolerance(cosine=0.999)):
            assert shared(runs[4], reference, tolerance).ok


def test_what_faithful_arithmetic_is_off_by_is_not_asked_for_without_float64() -> None:
    """The default asks for 13 bits of float32 numbers, and these have 10."""
    r = masked(-1e9)
    runs = [
        np.where(r < -1e3, r, r * (1 + 2.0**-10 * numbers(20, 40, seed=seed))).astype("float32") for seed in range(5)
    ]
    reference = make_reference(None, runs[0], runs[1:4], "float32")
    assert shared(runs[4], reference, Tolerance()).ok


def test_more_noise_is_that_of_the_others_too() -> None:
    r = masked(-1e9)
    reference = made_as(r, True)
    noisier = with_more_noise(reference, [np.where(r == -1e9, r, r * (1 + 1e-6)).astype(np.float32)])
    for one, other in ((reference.rest, noisier.rest), (reference.unmasked, noisier.unmasked)):
        assert one is not None
        assert other is not None
        assert one.noise is not None
        assert other.noise is not None
        assert other.noise[0] > 4 * one.noise[0]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "complex64"])
@pytest.mark.parametrize("pure", [True, False])
def test_masks_in_each_dtype_and_beside_infinities(dtype: str, pure: bool) -> None:
    numpy_dtype = numpy_dtype_of(dtype)
    r = masked(-1e4)
    r[0, 1], r[0, 2] = np.nan, np.inf
    if dtype == "complex64":
        r = r + 1j * R
    with np.errstate(all="ignore"):
        runs = [np.asarray(r).astype(numpy_dtype) for _ in range(3)]
    reference = make_reference(r if pure else None, runs[0], runs[1:], dtype)
    assert reference.unmasked is not None
    with np.errstate(all="ignore"):
        wrong = np.where(np.isfinite(r) & (np.abs(r) < 1e3), -r, r).astype(numpy_dtype)
    assert not compare_tensor(wrong, reference, Tolerance(bits=3.0), where="output", dtype=dtype).ok
    assert compare_tensor(runs[1] + numpy_dtype.type(0), reference, Tolerance(bits=3.0), where="output", dtype=dtype).ok
