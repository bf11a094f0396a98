"""Small cases of real faults: what a search names, as a file that fails in the same way, and its report."""

from __future__ import annotations

import os
from collections.abc import Generator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_modelconform.blame import folder
from pytest_modelconform.blame.machine import Machine
from pytest_modelconform.blame.shown import with_example
from pytest_modelconform.blame.written import MOST_LINES
from pytest_modelconform.cells.machinery import Machinery, Place
from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.cells.settings import Settings
from pytest_modelconform.terms.blame import EXPORTER, Blame, Guilty
from pytest_modelconform.terms.cell import CaseRef, Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from pytest_modelconform.terms.wording import Refused

# torch.onnx takes the norm of a vector for one over all of it; tract has no RoiAlign.
MODELS = """
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torchvision.ops import roi_align
from pytest_modelconform import Case

class Gain(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.randn(16))

    def forward(self, x):
        return x * self.scale

class Boxes(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x, boxes):
        return roi_align(self.conv(x), boxes, (3, 2), 0.5, -1, True).flatten(1)

def boxes():
    corners = torch.rand(5, 2) * 18
    return torch.cat([torch.randint(0, 2, (5, 1)), corners, corners + 20 + torch.rand(5, 2)], 1)

def build():
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), weight_norm(Gain(), "scale", dim=0))

fixed = "what they are is all the same"
gain = Case(model=build, inputs={"four": lambda: (torch.randn(4, 6),)}, fixed_inputs=fixed)
roi = Case(model=Boxes, inputs={"five": lambda: (torch.randn(2, 3, 24, 30), boxes())}, fixed_inputs=fixed)
"""


@pytest.fixture
def machinery(tmp_path: Path, cache: Path) -> Generator[Machinery]:
    registry = Registry()
    register_built_in(registry)
    nothing: dict[str, Any] = dict.fromkeys((field.name for field in fields(Settings)), ())
    settings = Settings(**{**nothing, "cache": cache, "timeout": 120.0, "inline": False})
    made = Machinery(registry, settings, Place(tmp_path, [str(tmp_path)], print, session="shown"))
    try:
        yield made
    finally:
        made.close()


def shown(machinery: Machinery, name: str, operator: str, party: str = EXPORTER) -> tuple[Cell, Outcome, Blame]:
    """What is written of an operator that a search has named in a cell."""
    file = machinery.place.root / "models.py"
    file.write_text(MODELS)
    cell = machinery.cell_of(f"{file.name}::{name}")
    assert cell is not None
    case = next(case for case in machinery.declare(file).cases if case.name == cell.case)
    ref = CaseRef(file, file.name, cell.case)
    outcome = machinery.pipeline.run(ref, cell, lambda outcome: True)
    with Machine(machinery, ref, cell, outcome, 100.0) as machine:
        program = machine.program
        guilty = Guilty(operators=(program.operators[program.index(operator)],), stage="", message="", party=party)
        return cell, outcome, with_example(machine, case, Blame(guilty=(guilty,)), print)


def run(machinery: Machinery, cell: Cell, text: str) -> Outcome:
    """What a file comes to, where nobody knows of a search."""
    file = machinery.place.root / "copy.py"
    file.write_text(text)
    [declared] = machinery.declare(file).cases
    assert declared.name == "part"
    own = replace(cell, file=file.name, case="part")
    return machinery.pipeline.run(CaseRef(file, file.name, "part"), own, lambda outcome: True)


def test_wrong_numbers(machinery: Machinery, tmp_path: Path) -> None:
    cell, outcome, blame = shown(machinery, "scatter[onnx-ort-cpu]", "scatter_reduce")
    assert (blame.note, blame.tensors) == ("", "")
    text = blame.case
    assert text.count("\n") <= MOST_LINES
    assert 'return torch.scatter_reduce(zeros, 0, index, src, "mean"' in text
    assert "torch.randint(0, 2, (2, " in text
    assert "torch.nn.Parameter" not in text
    first, *_ = text.splitlines()
    assert first.startswith('"""aten.scatter_reduce: ')
    assert first.endswith(" significant bits are right in onnx run by ort on cpu.")
    assert "Found in models.py::scatter[onnx-ort-cpu], models.py:14: `return torch.zeros(4, 6)" in text
    assert "At fault: the exporter." in text
    assert "onnxscript 0." in text
    alone = run(machinery, cell, text)
    assert (alone.verdict, alone.stage) == (outcome.verdict, outcome.stage) == (Verdict.MISMATCH, Stage.COMPARE)

    written = folder.write(tmp_path / "out", machinery, cell, blame, print)
    assert (tmp_path / "out" / "part.py").read_text() == text
    assert "report/README.md" in written
    assert "report/repro.py" in written
    readme = (tmp_path / "out" / "report" / "README.md").read_text()
    assert readme.startswith("# torch.onnx.export of PyTorch ")
    assert "wrong numbers from the export of aten.scatter_reduce\n" in readme
    assert text in readme
    # Once more into the same folder, as after an upgrade.
    assert folder.write(tmp_path / "out", machinery, cell, blame, print) == written


def test_an_error_at_load(machinery: Machinery) -> None:
    cell, outcome, blame = shown(machinery, "roi[onnx-tract-cpu]", "roi_align")
    assert 'requires=("torchvision",)' in blame.case
    assert blame.case.startswith(
        '"""torchvision.roi_align: error at stage load in onnx run by tract on cpu: TractError: '
    )
    alone = run(machinery, cell, blame.case)
    assert (alone.verdict, alone.stage) == (outcome.verdict, outcome.stage) == (Verdict.ERROR, Stage.LOAD)


def test_what_is_right_alone_has_no_case(machinery: Machinery) -> None:
    _, _, blame = shown(machinery, "scatter[onnx-ort-cpu]", "linear")
    assert blame.case == ""
    assert blame.note == "There is no case file of its own: alone, it doesn't fail."
    with pytest.raises(Refused, match="there is no small case of"):
        folder.write(machinery.place.root / "none", machinery, Cell("a.py", "a", "onnx", "ort"), blame, print)
    assert not (machinery.place.root / "none").exists()


def test_tensors_travel_in_a_log(tmp_path: Path) -> None:
    file = tmp_path / "part.pt"
    file.write_bytes(bytes(range(256)) * 16)
    packed = folder.packed(file)
    assert packed
    assert folder.unpacked(packed) == file.read_bytes()
    assert folder.packed(None) == ""
    file.write_bytes(os.urandom(2 << 20))
    assert folder.packed(file) is None
    for broken in ("!", "AAAA"):
        with pytest.raises(ValueError):  # noqa: PT011 (libraries word it)
            folder.unpacked(broken)
