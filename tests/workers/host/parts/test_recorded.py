"""What a traced part does with sizes that are others than those it was traced with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.export import Dim

from pytest_modelconform.workers.host.parts.cut import flat
from pytest_modelconform.workers.host.parts.part import part_case
from pytest_modelconform.workers.host.parts.recorded import followed

MODELS: dict[str, Callable[[Tensor], Tensor]] = {
    "view": lambda x: x.view(x.shape[0] * 4, 2, -1),
    "reshape": lambda x: x.transpose(0, 1).reshape(x.shape[0] * x.shape[1], 8),
    "expand": lambda x: x.mean(1, keepdim=True).expand(x.shape[0], x.shape[1], 8) + x,
    "flatten": lambda x: x.flatten(0, 1),
    "unflatten": lambda x: x.flatten(0, 1).unflatten(0, (x.shape[0], x.shape[1])),
    "slice": lambda x: x[: x.shape[0] - 1, 1 : x.shape[1] - 1],
    "arange": lambda x: x + torch.arange(x.shape[1])[None, :, None],
    "zeros": lambda x: torch.cat([torch.zeros(x.shape[0], 1, 8), x], 1),
    "full": lambda x: torch.full((x.shape[0], 2), 3.0) + x.mean(2)[:, :2],
    "new_ones": lambda x: x.new_ones(x.shape[1]) @ x,
    "repeat": lambda x: x.repeat(1, x.shape[1], 1),
    "split": lambda x: x.split([2, x.shape[1] - 2], 1)[1],
    "sizes computed": lambda x: x.sum(1) / (x.shape[1] + x.shape[0] + 1),
    "numel": lambda x: x / x.numel(),
}


class Of(torch.nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODELS)
def test_sizes_are_recorded(name: str) -> None:
    x, other = torch.randn(4, 6, 8), torch.randn(6, 10, 8)
    shapes = ({0: Dim("a", min=3), 1: Dim("b", min=4)},)
    program = torch.export.export(Of(MODELS[name]), (x,), dynamic_shapes=shapes).module(check_guards=False)
    module = followed(flat(program).module)
    for value in (x, other):
        torch.testing.assert_close(module(value)[0], MODELS[name](value))
    traced = torch.jit.trace(module, (x,), check_trace=False)
    torch.testing.assert_close(traced(other)[0], MODELS[name](other))


CASE = """
import torch
from pytest_modelconform import Case


class Rows(torch.nn.Module):
    def forward(self, x):
        return torch.relu(x).view(x.shape[0] * 2, -1).exp()


rows = Case(model=Rows, inputs={"a": lambda: (torch.randn(3, 8),)}, dynamic_shapes={"x": {0: "batch"}})
"""


@pytest.mark.filterwarnings("ignore")
def test_so_is_a_part_of_a_case(tmp_path: Path) -> None:
    file = tmp_path / "rows.py"
    file.write_text(CASE)
    part = part_case(file=str(file), relative="rows.py", case="rows", operators=("view",), outputs=("view",))
    traced = torch.jit.trace(part.model(), part.inputs["a"](), check_trace=False)
    assert traced(torch.randn(5, 8))[0].shape == (10, 4)
