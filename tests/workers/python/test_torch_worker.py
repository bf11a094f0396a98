"""What the worker of PyTorch makes of errors."""

from __future__ import annotations

import warnings
import weakref
from pathlib import Path

import pytest
import torch

from pytest_modelconform.workers.python import torch_worker
from pytest_modelconform.workers.python.torch_worker import _of_torchscript


class Loop(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x[0]
        for i in range(x.shape[0]):
            y = y + x[i]
        return y


@pytest.mark.parametrize("how", ["trace", "script"])
def test_a_stack_of_torchscript_is_cut_to_the_models_line(how: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = torch.jit.trace(Loop(), torch.ones(3, 2)) if how == "trace" else torch.jit.script(Loop())
    with pytest.raises(RuntimeError) as caught:
        model(torch.ones(2, 2) if how == "trace" else torch.ones(()))
    first, where = (_of_torchscript(str(caught.value)) or "").splitlines()
    assert first.startswith(
        "select(): index 2 out of range" if how == "trace" else "select() cannot be applied to a 0-dim"
    )
    assert where.endswith(", in forward")
    assert where.startswith(f"  {__file__}:")


def test_other_errors_stay_as_they_are() -> None:
    assert _of_torchscript("mat1 and mat2 shapes cannot be multiplied") is None


def test_a_large_program_goes_when_it_is_unloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[weakref.ref[torch.nn.Module]] = []

    def load(path: str, map_location: str) -> torch.nn.Module:
        model = torch.nn.Module()
        vars(model)["itself"] = [model]  # a cycle, as programs are in
        alive.append(weakref.ref(model))
        return model

    monkeypatch.setattr(torch_worker, "_LARGE", 1)
    monkeypatch.setattr(torch.jit, "load", load)
    (tmp_path / "model.pt").write_bytes(b"model")
    handlers = torch_worker.handlers("cpu", torch.get_num_threads())
    request = {"model": str(tmp_path / "model.pt"), "format": "torchscript-trace"}
    handlers["load"](request)
    handlers["load"](request)
    assert [model() is None for model in alive] == [True, False]
    handlers["unload"]({})
    assert alive[1]() is None
