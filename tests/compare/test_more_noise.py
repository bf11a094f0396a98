"""References that know the noise of further runs."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_modelconform.compare import Reference, compare_tensor, make_reference, with_more_noise
from pytest_modelconform.terms.case import Tolerance
from tests.support.synthetic import Array, faithful, numbers, reference

R = numbers(64, 70)
DIRECTION = numbers(70, seed=5)
LIMITS = Tolerance(bits_lost=1.5, worst=4.0)


def drawn(size: float, seed: int, r: Array = R) -> Array:
    """A faithful run in which row 5 is off by so much in one direction."""
    moved = r.copy()
    moved[5] += size * DIRECTION
    return faithful(moved, seed)


def with_row(*sizes: float) -> Reference:
    """Of runs whose row 5 is off by so much."""
    return make_reference(R, faithful(R, 0), [drawn(size, seed) for seed, size in enumerate(sizes, 1)], "float32")


def is_right(y: Array, made: Reference) -> bool:
    return compare_tensor(y, made, LIMITS, where="output", dtype="float32").ok


def test_a_row_whose_noise_three_draws_did_not_show() -> None:
    few = with_row(1e-6, -2e-6, 1e-6)
    result = drawn(2e-5, 9)
    assert not is_right(result, few)
    more = with_more_noise(few, [drawn(size, 20 + k) for k, size in enumerate((1e-5, -2e-5, 5e-6))])
    assert is_right(result, more)
    # All else is judged as before: another row, and what the row's noise doesn't explain.
    other = faithful(R, 9)
    other[6] += 2e-5
    assert not is_right(other, more)
    assert not is_right(drawn(2e-3, 9), more)
    assert more.reference_bits is not None
    assert few.reference_bits is not None
    assert few.reference_bits - 4 < more.reference_bits < few.reference_bits


def test_a_run_that_decides_otherwise_is_no_noise() -> None:
    few = with_row(1e-6, -2e-6, 1e-6)
    swapped = faithful(R, 20)
    swapped[[5, 6]] = swapped[[6, 5]]
    more = with_more_noise(few, [swapped, *(faithful(R, seed) for seed in range(21, 28))])
    for factor in (1.00001, 1.05, 1.5):
        assert not is_right(faithful(R, 9) * np.float32(factor), more)
    assert is_right(faithful(R, 9), more)


def test_it_is_never_less_than_it_was() -> None:
    few = with_row(1e-4, 1e-5, 1e-5)
    more = with_more_noise(few, [faithful(R, seed) for seed in range(30, 38)])
    for name in ("noise", "floor"):
        before, after = getattr(few, name), getattr(more, name)
        assert (after >= before).all()
        # Of independent errors, eight draws more have hardly larger ones.
        assert np.median(after / before) < 1.15
    assert few.floor is not None
    assert few.floor.flags.writeable is False or few.floor is not more.floor
    assert more.eager_numbers.loss is not None
    assert few.eager_numbers.loss is not None
    assert more.eager_numbers.loss <= few.eager_numbers.loss


def test_masks_and_what_is_not_finite_are_as_before() -> None:
    r = R.copy()
    r[0, 0], r[1, 1], r[2, 2] = -3e38, np.nan, np.inf
    few = make_reference(r, faithful(r, 0), [faithful(r, seed) for seed in (1, 2, 3)], "float32")
    odd = faithful(r, 7)
    odd[10, 10], odd[11, 11] = np.nan, np.inf
    more = with_more_noise(few, [odd])
    assert np.isfinite(more.noise).all()  # type: ignore[arg-type]
    assert np.isfinite(more.floor).all()  # type: ignore[arg-type]
    assert more.codes is few.codes
    assert is_right(faithful(r, 9), more)
    wrong = faithful(r, 9)
    wrong[1, 1] = 0.0
    assert not is_right(wrong, more)


def test_complex_numbers() -> None:
    r = numbers(40, 30) + 1j * numbers(40, 30, seed=1)

    def run(seed: int) -> Array:
        return np.asarray(r * (1 + 1e-7 * numbers(40, 30, seed=seed)), dtype=np.complex64)

    few = make_reference(r, run(2), [run(seed) for seed in (3, 4, 5)], "complex64")
    more = with_more_noise(few, [run(seed) for seed in range(6, 14)])
    assert few.noise is not None
    assert more.noise is not None
    assert (more.noise >= few.noise).all()
    assert more.noise[0] < 1.2 * few.noise[0]


def test_what_has_no_noise_is_refused() -> None:
    with pytest.raises(ValueError, match="a reference of kind 'exact' has no noise"):
        with_more_noise(reference(np.arange(5)), [])
    with pytest.raises(ValueError, match=r"a run has the shape \(64,\), the reference \(64, 70\)"):
        with_more_noise(reference(R), [faithful(R[:, 0], 1)])
