"""Steps of quantised models: in float64, and which may be flipped."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.ao.quantization.fx._decomposed

from pytest_modelconform.workers.host.noise import steps
from pytest_modelconform.workers.host.noise.call import Draws
from pytest_modelconform.workers.host.noise.mode import OperatorNoise
from pytest_modelconform.workers.host.references.float64 import Float64

LIBRARY = torch.ops.quantized_decomposed
X = torch.randn(3, 5, 40, generator=torch.Generator().manual_seed(0))
BY_TENSOR = (0.02, 5, -128, 127, torch.int8)
BY_CHANNEL = (torch.linspace(0.01, 0.05, 5), torch.tensor([0, 3, -7, 0, 1]), 1, -128, 127, torch.int8)
PAIRS: dict[str, tuple[Any, Any, tuple[Any, ...]]] = {
    "tensor": (LIBRARY.quantize_per_tensor.default, LIBRARY.dequantize_per_tensor.default, BY_TENSOR),
    "channel": (LIBRARY.quantize_per_channel.default, LIBRARY.dequantize_per_channel.default, BY_CHANNEL),
}


def draws(seed: int) -> Draws:
    return Draws(torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", PAIRS)
def test_float64_makes_the_same_steps(kind: str) -> None:
    there, back, about = PAIRS[kind]
    with Float64() as mode:
        rounded = there(X, *about)
        found = back(rounded, *about)
    assert torch.equal(rounded, there(X, *about))
    assert (rounded.dtype, found.dtype, dict(mode.narrow)) == (torch.int8, torch.float64, {})
    torch.testing.assert_close(found.float(), back(rounded, *about), rtol=3e-7, atol=0)


@pytest.mark.parametrize("kind", PAIRS)
def test_what_was_rounded_is_moved_by_a_share_of_a_step(kind: str) -> None:
    there, back, about = PAIRS[kind]
    x = X.transpose(0, 2).contiguous().transpose(0, 2)
    plain = back(there(x, *about), *about)
    errors = []
    for seed in range(8):
        with OperatorNoise(draws(seed)) as mode:
            rounded = there(x, *about)
            found = back(rounded, *about)
        assert not mode.decides
        assert torch.equal(rounded, there(x, *about))
        # As it lies in memory.
        assert (found.dtype, found.stride()) == (torch.float32, plain.stride())
        errors.append((found - plain).double())
    given = steps._given(there, (x, *about), {})
    scale, _ = steps._by_axis(given, 3)
    by_channel = (torch.stack(errors) / scale).square().mean((0, 1, 3)).sqrt()
    assert bool(((by_channel > 0.8 * steps.SHARE) & (by_channel < 1.25 * steps.SHARE)).all()), by_channel
    with OperatorNoise(draws(0), -1.0):
        other = back(there(x, *about), *about)
    torch.testing.assert_close((other - plain).double(), -errors[0], rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("kind", PAIRS)
def test_weights_are_steps_already_and_stay(kind: str) -> None:
    there, back, about = PAIRS[kind]
    weight = there(X, *about)
    with OperatorNoise(draws(0)):
        assert torch.equal(back(weight, *about), back(weight, *about))
