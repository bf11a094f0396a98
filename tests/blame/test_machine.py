"""Parts of a model, run for real: in the format and runtime of a cell whose exporter gets an operator wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from pytest_modelconform.blame.machine import Machine
from pytest_modelconform.blame.trial import OutOfTime
from pytest_modelconform.cells.machinery import Machinery
from pytest_modelconform.cells.stages import Budget
from pytest_modelconform.references.content import Inference
from pytest_modelconform.terms.cell import CaseRef, Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from pytest_modelconform.terms.program import SUBMODULES, Part
from tests.support import machines

# Its export calls sin where the model calls tanh, in whatever it is given; where it finds a cosh, the process dies.
NET = """\
import os

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from pytest_modelconform import Case, Export, generic_weights


class Wrong(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        if "cosh" in str(function):
            os._exit(3)
        return torch.sin(*args) if "tanh" in str(function) else function(*args, **(kwargs or {}))


def wrongly(model, inputs, folder):
    with torch.no_grad(), Wrong():
        torch.jit.trace(model, inputs, check_trace=False).save(folder / "model.pt")
    return folder / "model.pt"


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.act, self.second = nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8)

    def forward(self, x):
        x = self.act(self.first(x))
        return self.second(x).relu_(), x.cosh() if DIES else x.argmax(1)


def case():
    return Case(
        model=lambda: generic_weights(Net()),
        inputs={"one": lambda: (torch.randn(4, 8),), "two": lambda: (torch.randn(4, 8),)},
        exports={"torchscript-trace": Export(make=wrongly)},
    )


DIES = DIES_
net = case()
"""


@pytest.fixture(scope="module")
def machinery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machinery]:
    found = machines.machinery(tmp_path_factory.mktemp("cases"))
    yield found
    found.close()


WRONG = Outcome(Verdict.MISMATCH, Stage.COMPARE)


def machine(machinery: Machinery, dies: bool = False, seconds: float = 100, outcome: Outcome = WRONG) -> Machine:
    name = f"net_{dies}"
    file = machinery.place.root / f"{name}.py"
    file.write_text(NET.replace("DIES_", str(dies)))
    ref = CaseRef(file, file.name, "net")
    cell = Cell(file.name, "net", "torchscript-trace", "torch")
    return Machine(machinery, ref, cell, outcome, seconds)


def test_the_wrong_operator_is_red_alone_and_in_between(machinery: Machinery) -> None:
    with machine(machinery) as trials:
        names = [operator.name for operator in trials.program.operators]
        assert names == ["linear", "tanh", "linear_1", "relu_", "argmax"]
        whole = trials.tried(Part())
        assert (whole.outcome.verdict, whole.outcome.stage) == (Verdict.MISMATCH, Stage.COMPARE)
        assert whole.red["relu_"]
        tapped = trials.tried(Part(operators=tuple(names), outputs=("linear", "tanh", "linear_1")))
        assert tapped.red == {"linear": False, "tanh": True, "linear_1": True}
        assert set(tapped.outcome.inputs) == {"one"}
        assert trials.tried(Part(operators=("tanh",))).red == {"tanh": True}
        assert trials.tried(Part(operators=("linear_1", "relu_"))).outcome.verdict is Verdict.PASS
        assert trials.tried(Part(operators=("linear",))).red == {"linear": False}
        # As often as asked, it is run once.
        tries = trials.tries
        again = trials.tried(Part(operators=("tanh",)))
        assert (trials.tries, again.file) == (tries, trials.tried(Part(operators=("tanh",))).file)
        assert again.file is not None
        assert again.file.exists()
    assert not again.file.exists()


def test_submodules(machinery: Machinery) -> None:
    with machine(machinery) as trials:
        assert [call.name for call in trials.submodules.operators] == ["first", "act", "second"]
        found = {name: trials.tried(Part(operators=(name,), way=SUBMODULES)).red for name in ("first", "act")}
        assert found == {"first": {"first": False}, "act": {"act": True}}


def test_what_dies_does_so_alone_and_the_next_part_runs(machinery: Machinery) -> None:
    with machine(machinery, dies=True) as trials:
        alone = trials.tried(Part(operators=("cosh",)))
        assert (alone.outcome.verdict, alone.outcome.stage, alone.red) == (Verdict.CRASH, Stage.EXPORT, {})
        assert trials.tried(Part(operators=("linear",))).outcome.verdict is Verdict.PASS


def test_what_is_no_part_is_not_fit_and_costs_no_process(machinery: Machinery) -> None:
    with machine(machinery) as trials:
        host = machinery.pool.host()
        found = trials.tried(Part(operators=("no such",)))
        assert (found.fit, found.outcome.stage) == (False, Stage.REFERENCE)
        assert machinery.pool.host() is host


def test_the_set_that_fails_is_tried_beside_the_exporters(machinery: Machinery) -> None:
    verdicts = {"one": "pass", "close": "imprecise", "two": "mismatch"}
    failed = Outcome(Verdict.MISMATCH, inputs={name: {"verdict": verdict} for name, verdict in verdicts.items()})
    with machine(machinery, outcome=failed) as trials:
        assert set(trials.tried(Part(operators=("linear",))).outcome.inputs) == {"one", "two"}


def test_time_ends(machinery: Machinery) -> None:
    with machine(machinery, seconds=0) as trials, pytest.raises(OutOfTime):
        trials.tried(Part())


def test_what_is_close_is_red_only_where_the_cell_is_no_more(machinery: Machinery) -> None:
    close = {"one": {"verdict": "imprecise", "outputs": {"output[0]": {"wrong": "imprecise"}}}}
    for outcome, red in (
        (Outcome(Verdict.IMPRECISE, inputs=close), True),
        # A likely cause made it one.
        (Outcome(Verdict.MISMATCH, inputs=close), True),
        (Outcome(Verdict.MISMATCH, inputs={"one": {"outputs": {"output[0]": {"wrong": "mismatch"}}}}), False),
    ):
        with machine(machinery, outcome=outcome) as trials:
            program = trials.known
            assert trials._red(replace(outcome, inputs=close), ("tanh",), program) == {"tanh": red}


def test_the_case_host_knows_a_part_for_one(machinery: Machinery) -> None:
    """It has two names for its own modules: what is kept under the one must be what is asked for under the other."""
    with machine(machinery) as trials:
        tried = trials.tried(Part(operators=("linear",)))
        assert tried.file is not None
        ref = replace(trials.ref, file=tried.file, relative=tried.file.name, name="part")
        exports = trials.machinery.pipeline.exports
        content = exports.prepare(ref, Budget(100, machinery.pool)).content
        assert isinstance(content, Inference)
        # A part's blind spots are not looked for.
        assert content.unseen.tensors == 0
        said = trials.tried(Part(operators=("no such",))).outcome.message
        assert said.endswith("these operators are no part of their own: the program has no operator 'no such'")
        assert "WorkerError" not in said
