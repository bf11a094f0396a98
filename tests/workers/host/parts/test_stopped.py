"""Where in a model an exception was raised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pytest_modelconform.workers.host.parts.stopped import where


def chosen(x: Tensor) -> Tensor:
    return x if x.sum() > 0 else -x  # what torch.export can't guard on


class Choosing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return chosen(self.linear(x))


class Stacked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Identity(), Choosing()])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


def raised(model: nn.Module) -> BaseException:
    with pytest.raises(Exception, match="data-dependent") as found, torch.no_grad():
        torch.export.export(model, (torch.randn(3, 4),))
    return found.value


@pytest.mark.parametrize(("model", "module"), [(Choosing(), ""), (Stacked(), "layers.1")])
def test_the_submodule_and_the_line_at_which_torch_export_gives_up(model: nn.Module, module: str) -> None:
    found: Any = where(raised(model), model)
    assert (found["module"], found["kind"]) == (module, "Choosing")
    assert (Path(found["file"]).name, found["target"]) == ("test_stopped.py", "chosen")
    assert found["source"] == found["call"] == "return x if x.sum() > 0 else -x  # what torch.export can't guard on"


def test_what_wraps_it_does_not_hide_it() -> None:
    model = Stacked()
    wrapped = RuntimeError("the export failed")
    wrapped.__cause__ = raised(model)
    found: Any = where(wrapped, model)
    assert found["module"] == "layers.1"


def test_nothing_where_no_module_of_the_model_ran() -> None:
    assert where(raised(Choosing()), Choosing()) is None
    assert where(ValueError("no frames"), Choosing()) is None
