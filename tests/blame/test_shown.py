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
from tests.support import shared

# torch.onnx takes the norm of a vector for one over all of it, and has no Bessel functions.
MODELS = """
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from pytest_modelconform import Case

class Gain(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.randn(16))

    def forward(self, x):
        return x * self.scale

class Bessel(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 4)

    def forward(self, x):
        return torch.special.bessel_j0(self.linear(x))

def build():
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), weight_norm(Gain(), "scale", dim=0))

fixed = "what they are is all the same"
gain = Case(model=build, inputs={"four": lambda: (torch.randn(4, 6),)}, fixed_inputs=fixed)
bessel = Case(model=Bessel, inputs={"four": lambda: (torch.randn(4, 6),)}, fixed_inputs=fixed)
"""


@pytest.fixture(scope="module")
def machinery(tmp_path_factory: pytest.TempPathFactory, session_folder: Path) -> Generator[Machinery]:
    root = tmp_path_factory.mktemp("shown")
    registry = Registry()
    register_built_in(registry)
    nothing: dict[str, Any] = dict.fromkeys((field.name for field in fields(Settings)), ())
    settings = Settings(**{**nothing, "cache": shared.cache_in(session_folder), "timeout": 120.0, "inline": False})
    (root / "models.py").write_text(MODELS)
    made = Machinery(registry, settings, Place(root, [str(root)], print, session="shown"))
    try:
        yield made
    finally:
        made.close()


def shown(machinery: Machinery, name: str, *operators: str) -> tuple[Cell, Outcome, list[Blame]]:
    """What is written of operators if a search has named them in a cell, one after another."""
    file = machinery.place.root / "models.py"
    cell = machinery.cell_of(f"{file.name}::{name}")
    assert cell is not None
    case = next(case for case in machinery.declare(file).cases if case.name == cell.case)
    ref = CaseRef(file, file.name, cell.case)
    outcome = machinery.pipeline.run(ref, cell, lambda outcome: True)
    found = []
    with Machine(machinery, ref, cell, outcome, 300.0) as machine:
        program = machine.program
        for operator in operators:
            guilty = Guilty(
                operators=(program.operators[program.index(operator)],), stage="", message="", party=EXPORTER
            )
            found.append(with_example(machine, case, Blame(guilty=(guilty,)), print))
    return cell, outcome, found


def run(machinery: Machinery, cell: Cell, text: str) -> Outcome:
    """What a file comes to, where nobody knows of a search."""
    file = machinery.place.root / f"copy_of_{cell.case}.py"
    file.write_text(text)
    [declared] = machinery.declare(file).cases
    assert declared.name == "part"
    own = replace(cell, file=file.name, case="part")
    return machinery.pipeline.run(CaseRef(file, file.name, "part"), own, lambda outcome: True)


def test_wrong_numbers(machinery: Machinery, tmp_path: Path) -> None:
    cell, outcome, [blame, right] = shown(machinery, "gain[onnx-ort-cpu]", "_weight_norm", "linear")
    assert (blame.note, blame.tensors) == ("", "")
    text = blame.case
    assert text.count("\n") <= MOST_LINES
    first, *_ = text.splitlines()
    assert first.startswith('"""aten._weight_norm: ')
    assert first.endswith(" significant bits are right in onnx run by ort on cpu.")
    assert "Found in `2.parametrizations.scale.0` of models.py::gain[onnx-ort-cpu]" in text
    assert "At fault: the exporter." in text
    assert "onnxscript 0." in text
    assert "        return torch._weight_norm(v, g)\n" in text
    assert 'inputs={"one": lambda: (torch.randn(2), torch.rand(2) + 0.5)}' in text
    alone = run(machinery, cell, text)
    assert (alone.verdict, alone.stage) == (outcome.verdict, outcome.stage) == (Verdict.MISMATCH, Stage.COMPARE)

    written = folder.write(tmp_path / "out", machinery, cell, blame, print)
    assert (tmp_path / "out" / "part.py").read_text() == text
    assert "report/README.md" in written
    assert "report/repro.py" in written
    readme = (tmp_path / "out" / "report" / "README.md").read_text()
    assert readme.startswith("# torch.onnx.export of PyTorch ")
    assert "wrong numbers from the export of aten._weight_norm\n" in readme
    assert text in readme

    # What is right alone has no case.
    assert right.case == ""
    assert right.note == "There is no case file of its own: alone, it doesn't fail."
    with pytest.raises(Refused, match="there is no small case of"):
        folder.write(tmp_path / "none", machinery, cell, right, print)
    assert not (tmp_path / "none").exists()


def test_an_error_at_export(machinery: Machinery) -> None:
    cell, outcome, [blame] = shown(machinery, "bessel[onnx-ort-cpu]", "special_bessel_j0")
    assert blame.case.startswith('"""aten.special_bessel_j0: error at stage export in onnx run by ort on cpu: ')
    assert "        return torch.special.bessel_j0(x)\n" in blame.case
    alone = run(machinery, cell, blame.case)
    assert (alone.verdict, alone.stage) == (outcome.verdict, outcome.stage) == (Verdict.ERROR, Stage.EXPORT)


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
