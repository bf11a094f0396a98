"""Devices that TorchScript writes into its code."""

from __future__ import annotations

import pytest
import torch

from pytest_modelconform.workers.host import kept_devices

# TorchScript is deprecated upstream, and says so.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


class Positions(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.arange(x.shape[0], device=x.device)


def test_a_trace_keeps_the_device_that_its_input_had() -> None:
    traced = torch.jit.trace(Positions(), (torch.rand(3),))
    (place,) = kept_devices.of_script(traced)
    assert place.startswith("cpu (aten::arange, test_kept_devices.py:")


def test_a_script_asks_its_input() -> None:
    assert kept_devices.of_script(torch.jit.script(Positions())) == []


def test_the_place_is_named_in_submodules_too() -> None:
    traced = torch.jit.trace(torch.nn.Sequential(torch.nn.Identity(), Positions()), (torch.rand(3),))
    assert len(kept_devices.of_script(traced)) == 1


def test_a_model_without_devices_keeps_none() -> None:
    assert kept_devices.of_script(torch.jit.trace(torch.nn.Linear(3, 2), (torch.rand(3),))) == []
    assert kept_devices.of_script(object()) == []
