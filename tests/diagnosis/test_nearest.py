"""Which variant explains an output, on arrays; and that none does where rows, shapes or bits contradict it."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_modelconform.diagnosis.nearest import Variant, explanation
from tests.support.synthetic import Array, faithful, numbers, seen

R = numbers(64, 70)
EPSILON = R * (1 + 2.0**-10 * (1 + np.abs(numbers(64, 1, seed=3))))


def variant(name: str, outputs: Array, kind: str = "cause") -> Variant:
    return Variant(name, kind, name, {"": outputs.astype(np.float32)})


def explained(y: Array, *variants: Variant) -> str | None:
    return explanation(seen("first", {"": R}, {"": y.astype(np.float32)}), variants)


def rounded(r: Array, bits: float, seed: int) -> Array:
    """Numbers with so many effective bits."""
    scale = float(np.sqrt((r**2).mean()))
    return r + scale * 2.0**-bits * numbers(*r.shape, seed=seed)


def test_the_nearest_is_named() -> None:
    other = variant("another", R + 0.1 * numbers(64, 70, seed=5))
    assert str(explained(faithful(EPSILON), other, variant("eps", EPSILON))).startswith("eps: the outputs are 1")


def test_rows_that_are_right_contradict_it() -> None:
    """Some rows are as if an epsilon were another, and the rest is the model's: that is no epsilon."""
    y = R.copy()
    y[60:] = EPSILON[60:]
    y[60:] += 100 * (EPSILON - R)[60:]
    assert explained(faithful(y), variant("eps", EPSILON)) is None
    y = EPSILON.copy()
    y[:16] = R[:16]
    assert explained(faithful(y), variant("eps", EPSILON)) is None


def test_rows_that_are_wrong_otherwise_are_not_explained() -> None:
    """An encoder's padded rows: a variant that comes a bit nearer to garbage has not made it."""
    y = R.copy()
    y[40:] = numbers(24, 70, seed=9)
    near = R.copy()
    near[40:] = y[40:] + 0.03 * numbers(24, 70, seed=10)
    near[:40] = EPSILON[:40]
    assert explained(faithful(y), variant("eps", near)) is None


def test_a_mask_that_is_ignored_shows_in_the_rows_that_it_is_for() -> None:
    masked = R.copy()
    masked[40:] = numbers(24, 70, seed=9)
    assert str(explained(faithful(masked), variant("mask", masked))).startswith("mask: the outputs are ")


@pytest.mark.parametrize("bits", [20.5, 14.0])
def test_int8_has_no_twenty_bits(bits: float) -> None:
    """Where all but a bias has died away, int8 weights lose as little as anything does: that proves nothing."""
    y, int8 = rounded(R, bits, 5), rounded(R, bits, 6)
    assert explained(y, variant("weights-int8", int8, "precision")) is None


def test_a_precision_has_the_bits_that_it_leaves_the_model() -> None:
    narrow = variant("weights-bfloat16", rounded(R, 8.5, 6), "precision")
    assert str(explained(rounded(R, 8.0, 5), narrow)).endswith(" bits: the accuracy of weights-bfloat16")
    assert explained(rounded(R, 11.5, 5), narrow) is None
    assert explained(rounded(R, 5.5, 5), narrow) is None


def test_a_precision_loses_bits_everywhere() -> None:
    """One row loses as much as with float16 weights, and the rest is right: a sigmoid's tail, no weights."""
    y = R.copy()
    y[:3] = rounded(R, 11.0, 5)[:3]
    whole = variant("weights-float16", rounded(R, 11.0, 6), "precision")
    assert explained(faithful(y), whole) is None


def test_a_variant_that_is_infinite_is_no_error_of_ours() -> None:
    """Of which a distance has no logarithm: "math domain error"."""
    endless = R.copy()
    endless[0, 0] = np.inf
    none = np.full_like(R, np.nan)
    assert explained(rounded(R, 3.0, 5), variant("a", endless), variant("b", none)) is None
    assert explained(endless, variant("a", R)) is None


def test_what_is_not_distinct_from_the_model_explains_nothing() -> None:
    assert explained(rounded(R, 12.0, 5), variant("same", R)) is None
