"""What a case's `model` may return, and its mode."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelconform.workers.host import module
from pytest_modelconform.workers.loop import WorkerError


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dropout(self.linear(x))


def program() -> torch.export.ExportedProgram:
    return torch.export.export(Net().eval(), (torch.zeros(2, 4),))


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (3, "the function returned an int, not an nn.Module$"),
        (
            program(),
            r"the function returned an ExportedProgram, not an nn.Module: return its module, `program.module\(\)`",
        ),
        (Net, r"the function returned the class Net, not an nn.Module: call it, `Net\(…\)`"),
        (Net().state_dict(), r"returned an OrderedDict, .* return it after `model.load_state_dict\(…\)`"),
        (lambda x: x, "returned a function, .*: call it in the forward of a module"),
    ],
)
def test_what_is_no_module_is_refused(returned: Any, said: str) -> None:
    with pytest.raises(WorkerError, match=f"case 'net', field 'model': .*{said}"):
        module.checked("net", returned)


@pytest.mark.parametrize("training", [True, False])
def test_a_module_gets_its_mode(training: bool) -> None:
    net = nn.Sequential(Net().train(not training))
    module.set_mode("net", net, training)
    assert {part.training for part in net.modules()} == {training}


@pytest.mark.parametrize("wrapped", [True, False])
def test_an_exported_program_keeps_the_mode_that_it_has(wrapped: bool) -> None:
    net: nn.Module = program().module()
    net = nn.Sequential(net, nn.Dropout()) if wrapped else net
    module.set_mode("net", net, False)
    assert not any(part.training for part in net.modules())
    assert not any(part.training for part in copy.deepcopy(net).modules())
    copy.deepcopy(net).eval()
    net.eval()
    with pytest.raises(NotImplementedError, match="the mode that it was exported in"):
        net.train()
    with pytest.raises(WorkerError, match=r"case 'net', field 'mode': an exported program keeps .* Leave out `mode`"):
        module.set_mode("net", net, True)
