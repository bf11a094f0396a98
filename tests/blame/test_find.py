"""Searches for real, in cells whose exporter gets an operator, or a submodule, wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_modelconform.blame.find import find
from pytest_modelconform.cells.machinery import Machinery
from pytest_modelconform.terms.blame import EXPORTER, Blame
from pytest_modelconform.terms.cell import CaseRef
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from pytest_modelconform.terms.program import OPERATORS, SUBMODULES
from tests.support import machines

# An exporter that writes sin for tanh, adds one to what is normed by weights, and forgets the bias of a submodule of
# five features, which a program does not have.
CASES = """\
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torch.overrides import TorchFunctionMode

from pytest_modelconform import Case, Export, generic_weights


class Wrong(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        if "tanh" in str(function):
            return torch.sin(*args)
        found = function(*args, **(kwargs or {}))
        return found + 1 if "_weight_norm" in str(function) else found


def wrongly(model, inputs, folder):
    for module in model.modules():
        if isinstance(module, nn.Linear) and module.out_features == 5:
            nn.init.zeros_(module.bias)
    with torch.no_grad(), Wrong():
        torch.jit.trace(model, inputs, check_trace=False).save(folder / "model.pt")
    return folder / "model.pt"


def case(build):
    return Case(
        model=lambda: generic_weights(build()),
        inputs={"one": lambda: (torch.randn(4, 8),), "two": lambda: (torch.randn(4, 8),)},
        exports={"torchscript-trace": Export(make=wrongly)},
    )


def Chain(*between):
    return nn.Sequential(nn.Linear(8, 8), *between, nn.Linear(8, 4))


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(8, 6), nn.Sequential(nn.Linear(6, 5), nn.ReLU())

    def forward(self, x):
        return self.last(self.first(x))


twice = case(lambda: Chain(nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.ReLU()))
normed = case(lambda: Chain(nn.ReLU(), weight_norm(nn.Linear(8, 8))))
module = case(Deep)
"""


@pytest.fixture(scope="module")
def machinery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machinery]:
    folder = tmp_path_factory.mktemp("cases")
    (folder / "net.py").write_text(CASES)
    found = machines.machinery(folder)
    yield found
    found.close()


def searched(machinery: Machinery, name: str, outcome: Outcome | None = None) -> Blame:
    file = machinery.place.root / "net.py"
    cell = machinery.cell_of(f"net.py::{name}[torchscript_trace-torch-cpu]")
    assert cell is not None
    [case] = [case for case in machinery.declare(file).cases if case.name == name]
    ref = CaseRef(file, "net.py", name)
    outcome = outcome or machinery.pipeline.run(ref, cell, lambda outcome: True)
    return find(machinery, case, ref, cell, outcome, 100, lambda line: None)


def test_each_wrong_operator_is_named_with_its_place_and_whom_it_concerns(machinery: Machinery) -> None:
    blame = searched(machinery, "twice")
    assert [[operator.name for operator in guilty.operators] for guilty in blame.guilty] == [["tanh"], ["tanh_1"]]
    assert [guilty.operators[0].module for guilty in blame.guilty] == ["1", "3"]
    for guilty in blame.guilty:
        assert guilty.stage == "compare"
        assert guilty.bits is not None
        assert guilty.of is not None
        assert guilty.bits < 10 < guilty.of
        # It is this case's own exporter, so that no other artifact is captured alike.
        assert guilty.party != EXPORTER
        assert guilty.why
    # Written out, the case has no exporter of its own, and is right.
    assert (blame.way, blame.case) == (OPERATORS, "")
    assert blame.tries <= 9
    assert blame.seconds < 100


def test_an_operator_on_weights_alone_is_named_itself(machinery: Machinery) -> None:
    [guilty] = searched(machinery, "normed").guilty
    assert "_weight_norm" in guilty.operators[-1].target
    assert len(guilty.operators) == 1


def test_what_only_the_module_shows_is_said_and_its_submodule_named(machinery: Machinery) -> None:
    blame = searched(machinery, "module")
    assert "right when exported from its program, and wrong from the module" in blame.note
    [guilty] = blame.guilty
    assert (guilty.operators[0].name, guilty.operators[0].target) == ("last.0", "Linear")
    assert blame.way == SUBMODULES


def test_nothing_is_named_in_a_cell_that_is_right_here(machinery: Machinery) -> None:
    claimed = Outcome(Verdict.MISMATCH, Stage.COMPARE, inputs={"auto-shape": {"verdict": "mismatch"}})
    blame = searched(machinery, "module", claimed)
    assert blame.guilty == ()
    assert "can't be run on the input sets" in blame.note
