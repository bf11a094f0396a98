"""How often a cell is tried."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_modelconform.cells.attempt import Tried
from pytest_modelconform.cells.pipeline import Pipeline
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


def test_what_is_expected_is_tried_once() -> None:
    asked: list[bool] = []

    def attempted(*arguments: Any, **options: Any) -> Tried:
        asked.append(True)
        return Tried(CRASH, fresh=False, was_used=True)

    pipeline: Any = Pipeline.__new__(Pipeline)
    pipeline._attempted = attempted
    assert pipeline._tried(None, None, lambda outcome: True).outcome is CRASH
    assert len(asked) == 1
