"""How often a cell is tried."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelconform.cells.attempt import Tried
from pytest_modelconform.cells.pipeline import Pipeline
from pytest_modelconform.cells.turns import Turns
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.gpus import Gpu, Portion
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict

PASS = Outcome(Verdict.PASS)
CRASH = Outcome(Verdict.CRASH, Stage.RUN, "it crashed")
WRONG = Outcome(Verdict.MISMATCH, Stage.COMPARE, "it is wrong")
LATE = Outcome(Verdict.TIMEOUT, Stage.RUN, "it took too long")


@pytest.mark.parametrize(
    ("attempts", "exports_anew", "last"),
    [
        ([Tried(PASS, fresh=False, was_used=True)], [False], PASS),
        ([Tried(WRONG, fresh=True)], [False], WRONG),
        # A fresh worker, with the same artifact, is tried first.
        ([Tried(CRASH, fresh=False, was_used=True), Tried(PASS, fresh=False)], [False, False], PASS),
        ([Tried(CRASH, fresh=False, was_used=True), Tried(CRASH, fresh=True)], [False, False], CRASH),
        # If that fails, too, and a used case host made the artifact, a fresh one makes it again.
        (
            [Tried(WRONG, fresh=False, was_used=True), Tried(CRASH, fresh=False), Tried(PASS, fresh=True)],
            [False, False, True],
            PASS,
        ),
        ([Tried(WRONG, fresh=False), Tried(PASS, fresh=True)], [False, True], PASS),
        # What takes all of its time is not tried three times.
        ([Tried(LATE, fresh=False, was_used=True), Tried(LATE, fresh=True)], [False, True], LATE),
    ],
)
def test_fresh_processes_have_the_last_word(attempts: list[Tried], exports_anew: list[bool], last: Outcome) -> None:
    asked: list[bool] = []

    def attempted(ref: Any, cell: Any, expects: Any, anew: bool = False) -> Tried:
        asked.append(anew)
        return attempts[len(asked) - 1]

    pipeline: Any = Pipeline.__new__(Pipeline)
    pipeline._attempted = attempted
    found = pipeline._tried(None, None, lambda outcome: False)
    assert asked == exports_anew
    assert found.outcome.verdict is last.verdict
    first = attempts[0].outcome
    notes = [] if last.verdict is first.verdict else [f"it was {first.verdict.value}: {first.message}"]
    assert [note.rpartition("others before, ")[2] for note in found.outcome.notes] == notes


FULL = Outcome(Verdict.OUT_OF_MEMORY, Stage.RUN, "CUDA out of memory.\nSee the documentation")
PART = Outcome(Verdict.MISMATCH, Stage.COMPARE, "it is wrong", inputs={"a": {"verdict": "out-of-memory"}})


@pytest.mark.parametrize(
    ("attempts", "alone", "last"),
    [
        # Neither a used worker nor a used case host is a reason to try twice: only others are in the way.
        ([Tried(FULL, fresh=False, was_used=True), Tried(PASS, fresh=True)], [False, True], PASS),
        ([Tried(FULL, fresh=True), Tried(WRONG, fresh=True)], [False, True], WRONG),
        ([Tried(FULL, fresh=True), Tried(FULL, fresh=True)], [False, True], FULL),
        # One input set is enough, and so is what a fresh process comes to.
        ([Tried(PART, fresh=True), Tried(PASS, fresh=True)], [False, True], PASS),
        ([Tried(WRONG, fresh=False, was_used=True), Tried(FULL, fresh=True), Tried(PASS, fresh=True)], None, PASS),
    ],
)
@pytest.mark.parametrize("expected", [False, True])
def test_what_a_gpu_has_no_memory_for_is_tried_once_more_alone(
    tmp_path: Path, attempts: list[Tried], alone: list[bool] | None, last: Outcome, expected: bool
) -> None:
    turns = Turns(Portion(Gpu("0", "NVIDIA X", 2**34), sharers=2), lambda: None, print, tmp_path)
    asked: list[bool] = []

    def attempted(*arguments: Any, **options: Any) -> Tried:
        asked.append(turns.is_alone)
        return attempts[len(asked) - 1]

    pipeline: Any = Pipeline.__new__(Pipeline)
    pipeline._attempted, pipeline.pool = attempted, SimpleNamespace(turns=turns)
    pipeline.registry = SimpleNamespace(format=lambda name: SimpleNamespace(DEVICE_BOUND=False))
    cell = Cell("a.py", "a", "torchscript-trace", "torch", device="cuda")
    found = pipeline._tried(None, cell, lambda outcome: expected and outcome is FULL).outcome
    assert asked == (alone or [False, False, True])
    assert found.verdict is last.verdict
    if last is FULL:
        remedy = "It was tried once more alone on NVIDIA X and all of its 16.0 GiB: a GPU with more memory may do, or "
        assert found.message == f"{FULL.message}\n{remedy}smaller inputs."
    else:
        [note] = found.notes
        assert note.startswith("it ran alone on the GPU, since the memory was not enough beside other processes: ")


def test_a_cell_without_a_gpu_is_not_tried_alone() -> None:
    pipeline: Any = Pipeline.__new__(Pipeline)
    pipeline._attempted = lambda *arguments, **options: Tried(FULL, fresh=True)
    pipeline.registry = SimpleNamespace(format=lambda name: SimpleNamespace(DEVICE_BOUND=True))
    assert pipeline._tried(None, Cell("a.py", "a", "aoti", "torch"), lambda outcome: False).outcome is FULL


def test_what_is_expected_is_tried_once() -> None:
    asked: list[bool] = []

    def attempted(*arguments: Any, **options: Any) -> Tried:
        asked.append(True)
        return Tried(CRASH, fresh=False, was_used=True)

    pipeline: Any = Pipeline.__new__(Pipeline)
    pipeline._attempted = attempted
    assert pipeline._tried(None, None, lambda outcome: True).outcome is CRASH
    assert len(asked) == 1
