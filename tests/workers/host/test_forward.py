"""How a model is called, written in Python or as TorchScript."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from pytest_modelconform.workers.host.forward import as_written, signature


class Net(nn.Module):
    def forward(self, x: torch.Tensor, scale: float = 2.0, mask: torch.Tensor | None = None) -> torch.Tensor:
        return x * scale if mask is None else x * mask


class Other(nn.Module):
    @torch.jit.export
    def embed(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1


def script(module: nn.Module, folder: Path) -> torch.jit.ScriptModule:
    """A module that was scripted, stored and loaded again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of TorchScript's deprecation
        torch.jit.save(torch.jit.script(module), folder / "net.pt")
        loaded: torch.jit.ScriptModule = torch.jit.load(folder / "net.pt")
    return loaded


def test_a_module_of_python_has_its_own() -> None:
    assert signature(Net()) == inspect.signature(Net().forward)


def test_a_loaded_one_has_that_of_its_schema(tmp_path: Path) -> None:
    loaded = script(Net(), tmp_path)
    with pytest.raises(ValueError, match="no signature found"):
        inspect.signature(loaded.forward)
    found = signature(loaded)
    assert {name: p.default for name, p in found.parameters.items()} == {
        "x": inspect.Parameter.empty,
        "scale": 2.0,
        "mask": None,
    }
    assert {p.kind for p in found.parameters.values()} == {inspect.Parameter.POSITIONAL_OR_KEYWORD}
    x, mask = torch.rand(2), torch.rand(2)
    bound = found.bind(x, mask=mask)
    assert torch.equal(loaded(*bound.args, **bound.kwargs), x * mask)


def test_one_without_forward_is_said_to_have_none(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="the TorchScript module has no method `forward`"):
        signature(script(Other(), tmp_path))


def test_torchscript_runs_as_it_is_written(tmp_path: Path) -> None:
    optimizes = torch._C._get_graph_executor_optimize
    assert optimizes()
    with as_written(script(Net(), tmp_path)):
        assert not optimizes()
    with as_written(Net()):
        assert optimizes()
    assert optimizes()
