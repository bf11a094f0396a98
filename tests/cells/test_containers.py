"""Programs that take or return a class, as transformers' and diffusers' do: who loads them imports its module first."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import runs
from tests.support.runs import Run

OUTPUTS = """\
import dataclasses

import torch


@dataclasses.dataclass
class Out:
    {first}: torch.Tensor
    rest: torch.Tensor


torch.export.register_dataclass(Out, serialized_type_name="{first}.Out")
"""
NET = """\
import torch
from torch import nn

from pytest_modelconform import Case
{outputs}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 5)

    def forward(self, x):
        y = self.linear(x)
        return Out(y, {{"relu": y.relu()}})


{name} = Case(model=lambda: Net(), inputs={{"one": lambda: (torch.randn(2, 4),)}})
"""
INSIDE = OUTPUTS.replace(', serialized_type_name="{first}.Out"', "").format(first="y")


@pytest.fixture
def seen(session_folder: Path) -> Run:
    def make(folder: Path) -> Run:
        for name in ("left", "right"):
            # Two modules of one name, each for the cases beside it.
            written = {
                f"{name}/outputs.py": OUTPUTS.format(first=name),
                f"{name}/net_{name}.py": NET.format(name=name, outputs="from outputs import Out"),
            }
            runs.write(folder, written)
        runs.write(folder, {"inside/net_inside.py": NET.format(name="inside", outputs=INSIDE)})
        options = ("--modelconform-formats=export,aoti", "--modelconform-threads=0", "-n", "0")
        # A package takes a compiler: one is enough.
        cells = [f"{name}/net_{name}.py::{name}[export-torch-cpu]" for name in ("right", "inside")]
        return runs.run(folder, *options, "left", *cells, runtimes="torch", seconds=900)

    return runs.once(session_folder, "containers", make)


@pytest.mark.compiles
@pytest.mark.parametrize(("name", "kind"), [("left", "export"), ("left", "aoti"), ("right", "export")])
def test_the_module_beside_the_case_is_imported(name: str, kind: str, seen: Run) -> None:
    cell = f"{name}[{kind}-torch-cpu]"
    assert seen.verdict(cell) == ("pass", None), seen.message(cell)
    assert f"output['{name}']" in seen.cells[cell]["inputs"]["one"]["outputs"]
    assert "to load it in Python, `import outputs` first, which registers Out" in str(seen.cells[cell]["notes"])


@pytest.mark.compiles
def test_a_class_of_the_case_file_itself_can_not_be_imported(seen: Run) -> None:
    cell = "inside[export-torch-cpu]"
    assert seen.verdict(cell) == ("error", "export")
    assert "Take and return tuples or dicts, or register it in a module of its own" in seen.message(cell)
