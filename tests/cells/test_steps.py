"""A runtime driven step by step: what it is fed with, and what each of its faults comes to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from pytest_modelconform.cells.attempt import Tried
from pytest_modelconform.cells.diagnosing import Evidence
from pytest_modelconform.cells.input_sets import InputSets
from pytest_modelconform.cells.meter import Meter
from pytest_modelconform.cells.pipeline import Pipeline
from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.cells.stages import Artifact, Budget
from pytest_modelconform.cells.steps import Steps, _in_words
from pytest_modelconform.cells.worker import WorkerCrashed, WorkerRefused
from pytest_modelconform.references.model_check import ModelFault
from pytest_modelconform.terms.cell import SEQUENCE, CaseRef, Cell
from pytest_modelconform.terms.outcome import Outcome, Verdict
from pytest_modelconform.terms.signature import Signature
from tests.support import sequences


@pytest.fixture
def registry() -> Registry:
    found = Registry()
    register_built_in(found)
    return found


def run(
    folder: Path,
    registry: Registry,
    fault: sequences.Fault | None = None,
    text: str = "",
    column: tuple[str, str] = ("export", "torch"),
) -> tuple[Outcome, sequences.Worker]:
    """The outcome of a case's steps in a runtime that is eager but for a fault. column: whose limits it has."""
    text = text or sequences.case()
    worker = sequences.Worker(sequences.built(folder, text)[0].model, fault)
    judge = sequences.prepared(folder, text)
    cell = Cell("steps.py", "steps", *column, task=SEQUENCE)
    artifact = Artifact(folder, Signature(file="", layout="tree"), 0.0, 0, cached=False, fresh=True)
    pool = cast(Any, SimpleNamespace(last_op="", discard=lambda worker: None))
    sets = InputSets(
        registry, pool, cell, judge, artifact, cast(Any, worker), Budget(60.0, pool), folder / "outputs.safetensors"
    )
    with torch.no_grad():
        return Steps(sets, folder).outcome(), worker


def verdicts(outcome: Outcome) -> list[str]:
    return [entry["verdict"] for entry in outcome.inputs.values()]


def test_a_runtime_that_is_right(tmp_path: Path, registry: Registry) -> None:
    outcome, worker = run(tmp_path, registry)
    assert (outcome.verdict, outcome.message) == (Verdict.PASS, "")
    assert list(outcome.inputs) == ["step-1", "step-2", "step-3", "step-4"]
    assert outcome.bits is not None
    assert outcome.bits > 20
    assert len(worker.asked) == 4


def test_it_is_fed_with_its_own_outputs(tmp_path: Path, registry: Registry) -> None:
    mine: list[torch.Tensor] = []

    def slightly_off(step: int, given: Mapping[str, Any], returned: Any) -> Any:
        mine.append(torch.nextafter(returned["state"], torch.tensor(9.0)))
        return {**returned, "state": mine[-1]}

    outcome, worker = run(tmp_path, registry, slightly_off)
    assert outcome.verdict is Verdict.PASS
    for asked, returned in zip(worker.asked[1:], mine, strict=False):
        assert bytes(asked.data) == returned.numpy().tobytes()


def stale(step: int, given: Mapping[str, Any], returned: Any) -> Any:
    """Returns the state that it was given."""
    return {**returned, "state": given["state"]}


def drifts(much: float) -> sequences.Fault:
    """Is off by a little in what it returns, which adds up."""
    return lambda step, given, returned: {**returned, "state": returned["state"] * (1 + much)}


def third(step: int, given: Mapping[str, Any], returned: Any) -> Any:
    """Is wrong in its third step, and in the call after it, which is that step with eager's state."""
    return {**returned, "y": -returned["y"]} if step in (3, 4) else returned


def of_its_own(step: int, given: Mapping[str, Any], returned: Any) -> Any:
    """Is wrong in its third step, and not with eager's state."""
    return {**returned, "y": -returned["y"]} if step == 3 else returned


@pytest.mark.parametrize(
    ("fault", "found", "says"),
    [
        (stale, ["mismatch"] * 4, "step 1 of 4: wrong values: output"),
        (third, ["pass", "pass", "mismatch", "pass"], "It is wrong with PyTorch's own state, too"),
        (of_its_own, ["pass", "pass", "mismatch", "pass"], "the error has come with what was fed back to it"),
        (third, ["pass", "pass", "mismatch", "pass"], "Right in steps 1 to 2, 4, wrong in step 3."),
    ],
)
def test_other_numbers(tmp_path: Path, registry: Registry, fault: sequences.Fault, found: list[str], says: str) -> None:
    outcome, _ = run(tmp_path, registry, fault)
    assert outcome.verdict is Verdict.MISMATCH
    assert verdicts(outcome) == found
    assert says in outcome.message
    assert len(outcome.message.splitlines()) <= 12


def test_an_error_that_builds_up(tmp_path: Path, registry: Registry) -> None:
    # Within the tolerance in a single step, and not after some.
    many = 'carry={"state": "state"}, steps=8, inputs=given'
    outcome, _ = run(tmp_path, registry, drifts(2e-7), sequences.case("state + 0.3 * torch.tanh(self.inner(x))", many))
    assert verdicts(outcome) == ["pass"] * 3 + ["imprecise"] * 5
    assert outcome.verdict is Verdict.IMPRECISE
    assert outcome.message.endswith("Right in steps 1 to 3, inexact in steps 4 to 8.")
    assert "its cause is looked for in single calls only: steps[export-torch-cpu]" in outcome.notes
    outcome, _ = run(tmp_path, registry, drifts(1e-4))
    assert outcome.verdict is Verdict.MISMATCH


def refuses(step: int, given: Mapping[str, Any], returned: Any) -> Any:
    if step == 3:
        raise WorkerRefused("RuntimeError", "not this one", "", "run")
    return returned


def dies(step: int, given: Mapping[str, Any], returned: Any) -> Any:
    if step == 2:
        raise WorkerCrashed("was killed by SIGSEGV")
    return returned


def lacks(step: int, given: Mapping[str, Any], returned: Any) -> Any:
    return {"y": returned["y"]} if step == 2 else returned


@pytest.mark.parametrize(
    ("fault", "verdict", "found", "says"),
    [
        (refuses, Verdict.ERROR, ["pass", "pass", "error", "not-run"], "step 3 of 4: RuntimeError: not this one"),
        (dies, Verdict.CRASH, ["pass", "crash", "not-run", "not-run"], "step 2 of 4: was killed by SIGSEGV"),
        (lacks, Verdict.MISMATCH, ["pass", "mismatch", "not-run", "not-run"], "step 2 of 4: returns 1 tensor"),
    ],
)
def test_a_step_that_gives_nothing_to_go_on_with(
    tmp_path: Path, registry: Registry, fault: sequences.Fault, verdict: Verdict, found: list[str], says: str
) -> None:
    outcome, _ = run(tmp_path, registry, fault)
    assert outcome.verdict is verdict
    assert verdicts(outcome) == found
    assert says in outcome.message


GROWS = sequences.case("torch.cat((state, self.inner(x)))", 'carry={"state": "state"}, steps=3').replace(
    '"state": {0: "batch"}', '"state": {0: "so_far"}'
)


def test_a_sequence_that_ends_early_has_not_passed(tmp_path: Path, registry: Registry) -> None:
    def static(step: int, given: Mapping[str, Any], returned: Any) -> Any:
        if given["state"].shape[0] != 6:
            raise WorkerRefused("RuntimeError", "expected 6 rows", "", "run")
        return returned

    outcome, _ = run(tmp_path, registry, static, GROWS)
    assert verdicts(outcome)[0] == "pass"
    assert outcome.verdict is not Verdict.PASS
    assert outcome.failed or outcome.verdict is Verdict.UNSUPPORTED


def test_transposed_states(tmp_path: Path, registry: Registry) -> None:
    def transposed(step: int, given: Mapping[str, Any], returned: Any) -> Any:
        return {**returned, "state": returned["state"].t().contiguous().t()}

    outcome, worker = run(tmp_path, registry, transposed)
    assert outcome.verdict is Verdict.PASS
    assert [asked.order for asked in worker.asked] == [None, (1, 0), (1, 0), (1, 0)]
    # A package refuses, or misreads, what isn't in the order that it was exported with.
    outcome, worker = run(tmp_path, registry, transposed, column=("aoti", "torch"))
    assert outcome.verdict is Verdict.PASS
    assert [asked.order for asked in worker.asked] == [None] * 4
    assert "made row-major before they were fed back" in " ".join(outcome.notes)


COUNTS = """\
import torch

from pytest_modelconform import Case, Sequence


class Net(torch.nn.Module):
    def forward(self, x, state):
        return {"y": x * state, "state": state + 3}


case = Case(
    model=lambda: Net(),
    inputs={"six": lambda: {"x": torch.randn(6), "state": torch.arange(6)}},
    sequence=Sequence(carry={"state": "state"}, steps=3),
)
"""


def test_a_state_that_is_narrowed_on_the_way(tmp_path: Path, registry: Registry) -> None:
    def narrow(step: int, given: Mapping[str, Any], returned: Any) -> Any:
        return {**returned, "state": returned["state"].int()}

    # LiteRT returns int64 as int32, and is fed with int64, as a server has to. Of torch it is a fault.
    assert registry.runtime("litert").NARROWS["int64"] == "int32"
    outcome, worker = run(tmp_path, registry, narrow, COUNTS, ("litert", "litert"))
    assert outcome.verdict is Verdict.PASS, outcome.message
    assert [asked.dtype for asked in worker.asked] == ["int64"] * 3
    assert run(tmp_path, registry, narrow, COUNTS)[0].verdict is Verdict.MISMATCH


def test_a_case_that_sees_nothing_of_its_state(tmp_path: Path) -> None:
    with pytest.raises(ModelFault, match=r"gives the same without what is fed back to it \(state\), so that a runtime"):
        sequences.prepared(tmp_path, sequences.case("0.0 * state + torch.tanh(self.inner(x))"))


@pytest.mark.parametrize("strict", [False, True])
def test_what_is_inexact_stays_so_without_a_diagnosis(tmp_path: Path, registry: Registry, strict: bool) -> None:
    many = 'carry={"state": "state"}, steps=8, inputs=given'
    more = "tolerance=Tolerance(strict=True)," if strict else ""
    text = sequences.case("state + 0.3 * torch.tanh(self.inner(x))", many, more).replace(
        "import Case,", "import Case, Tolerance,"
    )
    outcome, _ = run(tmp_path, registry, drifts(2e-7), text)
    judge = sequences.prepared(tmp_path, text)
    tried = Tried(outcome, fresh=True, evidence=Evidence(judge, judge.tolerance, {}, cast(Any, None)))
    pipeline = object.__new__(Pipeline)
    vars(pipeline).update(pool=SimpleNamespace(meter=Meter()))
    vars(pipeline).update(strict=False, _witnesses=None, unavailable=lambda *_: None, _tried=lambda *_: tried)
    cell = Cell("steps.py", "steps", "export", "torch", task=SEQUENCE)
    found = pipeline.run(CaseRef(tmp_path, "steps.py", "steps", task=SEQUENCE), cell)
    assert found.verdict is Verdict.IMPRECISE
    assert found.failed is strict


def test_steps_in_words() -> None:
    found = [_in_words(numbers) for numbers in ([3], [1, 2, 3], [1, 3, 4, 7])]
    assert found == ["step 3", "steps 1 to 3", "steps 1, 3 to 4, 7"]
