"""Verdicts on a small model in numpy: what faithful arithmetic passes with, and what a fault fails with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from pytest_modelconform.compare import (
    Difference,
    make_reference,
)
from pytest_modelconform.terms.case import Tolerance
from tests.support.checking import check

Array = np.ndarray[Any, Any]
Weights = dict[str, Array]
Product = Callable[[Array, Array], Array]


def make_weights(random: np.random.Generator) -> Weights:
    return {
        "first": (random.standard_normal((96, 128)) / 10).astype(np.float32),
        "scale": random.uniform(0.5, 2, 128).astype(np.float32),
        "second": (random.standard_normal((128, 40)) / 11).astype(np.float32),
        "bias": random.standard_normal(40).astype(np.float32),
    }


def model(x: Array, weights: Weights, product: Product = np.matmul, epsilon: float = 1e-5) -> Array:
    """A linear layer, a layer norm, tanh and a linear layer, in the dtype of x."""
    hidden = product(x, weights["first"])
    centred = hidden - hidden.mean(-1, keepdims=True)
    hidden = centred / np.sqrt((centred * centred).mean(-1, keepdims=True) + x.dtype.type(epsilon)) * weights["scale"]
    result: Array = product(np.tanh(hidden), weights["second"]) + weights["bias"]
    return result


def jitter(array: Array, random: np.random.Generator) -> Array:
    towards = np.where(random.random(array.shape) < 0.5, np.inf, -np.inf).astype(array.dtype)
    moved: Array = np.nextafter(array, towards)
    return moved


def permuted(seed: int) -> Product:
    def product(a: Array, b: Array) -> Array:
        order = np.random.default_rng(seed).permutation(len(b))
        result: Array = a[:, order] @ b[order]
        return result

    return product


def in_sequence(a: Array, b: Array) -> Array:
    """Add one term after the other, as a simple loop does: about the noisiest order there is."""
    total = np.zeros((len(a), b.shape[1]), a.dtype)
    for k in range(len(b)):
        total += a[:, k, None] * b[k]
    return total


def in_parts(a: Array, b: Array) -> Array:
    parts = [a[:, k : k + 32] @ b[k : k + 32] for k in range(0, len(b), 32)]
    result: Array = parts[0] + parts[1] + sum(parts[2:])
    return result


def rounded(weights: Weights, to: Callable[[Array], Array]) -> Weights:
    return {name: to(array).astype(np.float32) for name, array in weights.items()}


def tf32(array: Array) -> Array:
    bits = (array.view(np.uint32) + np.uint32(0x1000)) & np.uint32(0xFFFFE000)
    return bits.view(np.float32)


class Setting:
    def __init__(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.x, self.weights = random.standard_normal((24, 96)).astype(np.float32), make_weights(random)
        double = {name: array.astype(np.float64) for name, array in self.weights.items()}
        jittered = [
            model(jitter(self.x, random), {name: jitter(array, random) for name, array in self.weights.items()})
            for _ in range(4)
        ]
        r = model(self.x.astype(np.float64), double)
        self.reference = make_reference(r, model(self.x, self.weights), jittered, "float32")

    def judge(self, actual: Array, tolerance: Tolerance | None = None) -> Difference:
        return check(actual, self.reference, tolerance)


@pytest.fixture(params=range(4))
def setting(request: pytest.FixtureRequest) -> Setting:
    return Setting(request.param)


@pytest.mark.parametrize(
    "product", [*(permuted(k) for k in range(4)), in_sequence, in_parts], ids=[*"0123", "sequence", "parts"]
)
def test_another_order_of_summation_passes(setting: Setting, product: Product) -> None:
    difference = setting.judge(model(setting.x, setting.weights, product))
    assert difference.ok, difference.message
    assert difference.message == ""
    assert difference.bits is not None
    assert difference.bits > 19


@pytest.mark.parametrize(
    ("to", "most_bits"),
    [
        (lambda array: array.astype(np.float16), 14),
        (lambda array: array.astype(ml_dtypes.bfloat16), 11),
        (tf32, 14),
    ],
    ids=["float16", "bfloat16", "TF32"],
)
def test_weights_of_lower_precision_fail(setting: Setting, to: Callable[[Array], Array], most_bits: float) -> None:
    difference = setting.judge(model(setting.x, rounded(setting.weights, to)))
    assert not difference.ok
    assert difference.bits is not None
    assert 6 < difference.bits < most_bits
    assert "significant bits agree" in difference.message


@pytest.mark.parametrize("name", ["first", "scale", "second", "bias"])
def test_one_percent_in_a_single_weight_fails(setting: Setting, name: str) -> None:
    weights = {key: array.copy() for key, array in setting.weights.items()}
    weights[name].reshape(-1)[abs(weights[name]).reshape(-1).argmax()] *= np.float32(1.01)
    assert not setting.judge(model(setting.x, weights)).ok


def test_another_epsilon_fails(setting: Setting) -> None:
    """A tenfold epsilon loses 6 bits; a tenth of it 2.6 to 2.9, which the default of 3 lets pass."""
    assert not setting.judge(model(setting.x, setting.weights, epsilon=1e-4)).ok
    assert not setting.judge(model(setting.x, setting.weights, epsilon=1e-6), Tolerance(bits_lost=2.5)).ok


def test_bits_of_eager_itself_are_reported_and_pass(setting: Setting) -> None:
    eager = model(setting.x, setting.weights)
    difference = setting.judge(eager.copy(), Tolerance(rtol=0, atol=0))
    assert difference.ok
    assert difference.bits is not None
    assert difference.reference_bits is not None
    assert difference.bits >= difference.reference_bits
    # Without the shortcut the numbers are the same.
    other = eager.copy()
    other[0, 0] = np.nextafter(other[0, 0], np.float32(0))
    assert setting.judge(other).bits == pytest.approx(difference.bits, abs=0.1)
