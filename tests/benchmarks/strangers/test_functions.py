"""Functions that are good to some units in the last place."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.strangers.functions import UNARY, UNITS, Error, applied, rounded


def units_off(found: torch.Tensor, exact: torch.Tensor) -> np.ndarray:
    one, two = (value.numpy().view(np.int32).astype(np.int64) for value in (found, exact.float()))
    return np.abs(one - two)


@pytest.mark.parametrize("units", UNITS)
def test_the_error_is_as_large_as_promised_and_no_larger(units: int) -> None:
    exact = torch.linspace(0.1, 50, 5000, dtype=torch.float64).exp()
    off = units_off(rounded(exact, Error(units, 7)), exact)
    assert off.max() == units


def test_errors_go_both_ways_and_differ_by_seed() -> None:
    exact = torch.linspace(0.1, 5, 1000, dtype=torch.float64).exp()
    one, other = (rounded(exact, Error(4, seed)) for seed in (1, 2))
    assert not torch.equal(one, other)
    assert abs((one - exact.float()).sign().mean().item()) < 0.1


def test_the_same_value_is_off_by_the_same() -> None:
    values = torch.tensor([0.3, 0.7, 0.3, 0.3])
    found = applied(torch.tanh, values, Error(4, 3), "tanh")
    assert found[0] == found[2] == found[3]


@pytest.mark.parametrize(
    ("name", "value", "exact"),
    [("tanh", 0.0, 0.0), ("exp", 0.0, 1.0), ("sigmoid", 0.0, 0.5), ("exp", -torch.inf, 0.0)],
)
@pytest.mark.parametrize("seed", range(8))
def test_what_is_exact_stays(name: str, value: float, exact: float, seed: int) -> None:
    assert applied(getattr(torch, name), torch.tensor([value]), Error(4, seed), name).item() == exact


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "erf", "sin"])
@pytest.mark.parametrize("seed", range(8))
def test_no_function_leaves_its_range(name: str, seed: int) -> None:
    values = torch.linspace(-12, 12, 2001)
    low, high = UNARY[name]
    found = applied(getattr(torch, name), values, Error(4, seed), name)
    assert low <= found.min()
    assert found.max() <= high


def test_nan_infinity_and_the_smallest_numbers_are_left_alone() -> None:
    exact = torch.tensor([torch.nan, torch.inf, 1e-44, 3.5e38], dtype=torch.float64)
    found = rounded(exact, Error(4, 1))
    assert torch.equal(found, exact.float()) or (found.isnan()[0] and torch.equal(found[1:], exact.float()[1:]))
