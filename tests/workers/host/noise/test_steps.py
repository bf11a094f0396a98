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
BY_CHANNEL = (torch.linspace(0.01, 0.05, 5), torch.tensor([0, 3, -7, 0, 1]), 1, -128, 127, torch.int8)
PAIRS: dict[str, tuple[Any, Any, tuple[Any, ...]]] = {
    "tensor": (
        LIBRARY.quantize_per_tensor.default,
        LIBRARY.dequantize_per_tensor.default,
        (0.02, 5, -128, 127, torch.int8),
    ),
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
def test_steps_near_the_middle_are_flipped_by_a_coin_and_the_nearest_one_always(kind: str) -> None:
    there, back, about = PAIRS[kind]
    plain = there(X, *about)
    seen = torch.zeros(X.shape, dtype=torch.bool)
    for seed in range(8):
        # Laid out otherwise, it stays as it lies.
        with OperatorNoise(draws(seed)) as mode:
            rounded = there(X.transpose(0, 2).contiguous().transpose(0, 2), *about)
        assert not mode.decides
        assert rounded.stride() == (1, 3, 15)
        flips = (rounded.int() - plain.int()).abs()
        assert int(flips.max()) == 1
        assert 1 <= int(flips.sum()) < 30
        seen |= flips > 0
    given = steps._given(there, (X, *about), {})
    scale, _ = steps._by_axis(given, 3)
    distance = 0.5 - (X.double() / scale - (X.double() / scale).round()).abs()
    clamped = (plain == -128) | (plain == 127)
    assert float(distance[seen].max()) <= steps.NEAR
    assert bool(seen[(distance < steps.NEAR / 2) & ~clamped].float().mean() > 0.8)


def test_what_is_beyond_the_range_is_no_step_away() -> None:
    there, _, about = PAIRS["tensor"]
    far = torch.tensor([1e6, -1e6, torch.inf, 100.0])
    with OperatorNoise(draws(0)):
        assert torch.equal(there(far, *about), there(far, *about))
    # Far from the middle, and flipped all the same: without any flip, one in a runtime would be a mismatch.
    with OperatorNoise(draws(0)):
        assert there(torch.tensor([0.02 * 1.3]), *about).tolist() == [5 + 2]
