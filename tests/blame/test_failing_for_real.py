"""Searches for errors by real exporters and runtimes, in processes that die."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_modelconform.blame.errors import searched
from pytest_modelconform.blame.machine import Machine
from pytest_modelconform.cells.machinery import Machinery, Place
from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.cells.settings import Settings
from pytest_modelconform.terms.blame import EXPORTER, RUNTIME, Blame
from pytest_modelconform.terms.cell import CaseRef
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from pytest_modelconform.terms.program import SUBMODULES

# An operator that works where models are built and exported, and ends any other process.
FRAGILE = """\
import os, sys
import torch


@torch.library.custom_op("fragile::halved", mutates_args=())
def halved(x: torch.Tensor) -> torch.Tensor:
    if "modelconform_workers.host" not in sys.modules:
        os.abort()
    return x / 2


@halved.register_fake
def _(x):
    return torch.empty_like(x)
"""
CASES = """\
import fragile
import torch
from pytest_modelconform import Case, Operators, generic_weights


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = torch.nn.Linear(4, 8), torch.nn.Linear(8, 3)

    def forward(self, x):
        x = torch.relu(self.first(x))
        return self.last(torch.ops.fragile.halved(x).tanh())


class Choosing(torch.nn.Module):
    def forward(self, x):
        return x * 2 if x.sum() > 0 else x


class Branching(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Linear(4, 8), Choosing())

    def forward(self, x):
        return self.body(x).tanh()


def inputs():
    return {"two": lambda: (torch.randn(2, 4),)}


net = Case(model=lambda: generic_weights(Net()), inputs=inputs(), operators=Operators(torch=("fragile.py",)))
branching = Case(model=lambda: generic_weights(Branching()), inputs=inputs())
"""


@pytest.fixture(scope="module")
def machinery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machinery]:
    folder = tmp_path_factory.mktemp("fragile")
    (folder / "fragile.py").write_text(FRAGILE)
    (folder / "cases.py").write_text(CASES)
    registry = Registry()
    register_built_in(registry)
    settings = Settings(
        formats=(), runtimes=(), devices=(), precisions=(), require=(), threads=(), threads_asked=False, shard=None,
        json=None, html=None, log=None, timeout=300, cache=folder / "cache", inline=False, strict=False,
        update_expected=False,
    )  # fmt: skip
    made = Machinery(registry, settings, Place(folder, [str(folder)], lambda line: None))
    yield made
    made.close()


def blamed(machinery: Machinery, name: str) -> tuple[Outcome, Blame]:
    """What a cell comes to, and what it fails at."""
    file = machinery.place.root / "cases.py"
    cases = {case.name: case for case in machinery.declare(file).cases}
    cell = machinery.cell_of(f"cases.py::{name}")
    assert cell is not None
    ref = CaseRef(Path(file), "cases.py", cell.case, operators=cases[cell.case].own_operators)
    outcome = machinery.pipeline.run(ref, cell)
    with Machine(machinery, ref, cell, outcome, 200) as machine:
        return outcome, searched(machine, outcome)


def test_the_operator_that_ends_a_runtimes_process(machinery: Machinery) -> None:
    outcome, blame = blamed(machinery, "net[export-torch-cpu]")
    assert (outcome.verdict, outcome.stage) == (Verdict.CRASH, Stage.RUN)
    [guilty] = blame.guilty
    [operator] = guilty.operators
    assert operator.target == "fragile.halved.default"
    assert operator.source == "return self.last(torch.ops.fragile.halved(x).tanh())"
    assert (guilty.stage, guilty.party) == ("run", RUNTIME)


def test_the_submodule_that_torch_export_refuses(machinery: Machinery) -> None:
    outcome, blame = blamed(machinery, "branching[export-torch-cpu]")
    assert (outcome.verdict, outcome.stage) == (Verdict.ERROR, Stage.EXPORT)
    [guilty] = blame.guilty
    [operator] = guilty.operators
    assert (operator.name, operator.target, blame.way) == ("body.1", "Choosing", SUBMODULES)
    assert (Path(operator.file).name, operator.source) == ("cases.py", "return x * 2 if x.sum() > 0 else x")
    assert "data-dependent" in guilty.message
    assert (guilty.stage, guilty.party) == ("export", EXPORTER)
