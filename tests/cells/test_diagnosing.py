"""What is close goes through diagnosis as mismatches do: only without a cause it is imprecise."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pytest_modelconform.cells.diagnosing import Diagnosis, Evidence, undiagnosed
from pytest_modelconform.cells.stages import StageFailure
from pytest_modelconform.references.content import VariantEntry, Variants
from pytest_modelconform.terms.case import Tolerance
from pytest_modelconform.terms.cell import CaseRef, Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from pytest_modelconform.terms.runs import NO_TIME
from pytest_modelconform.workers import arrays
from tests.support.synthetic import Array, faithful, numbers, reference

TREE = {"tensor": "/0"}
CELL = Cell("a.py", "a", "onnx", "ort")
REF = CaseRef(Path("a.py"), "a.py", "a")
SETS = {"first": {"verdict": "imprecise", "bits": 20.0}, "second": {"verdict": "pass", "bits": 23.0}}
CLOSE = Outcome(Verdict.IMPRECISE, Stage.COMPARE, "input set 'first': loses some", inputs=SETS, notes=("a note",))
R = numbers(64, 70)
# As an epsilon that is a tenth changes it: by 2^-17 of itself, row by row; and what is as far off and has no cause.
EPSILON = R * (1 + 2.0**-17 * (1 + np.abs(numbers(64, 1, seed=3))))
NOISE = faithful(R + 2.0**-17 * numbers(64, 70, seed=4))


class FakeExports:
    """Has one variant, or fails; some others may have had no time."""

    def __init__(
        self, error: Exception | None = None, skipped: dict[str, str] | None = None, kind: str = "cause"
    ) -> None:
        self.error, self.skipped, self.kind, self.asked, self.seconds = error, skipped or {}, kind, 0, 0.0
        runtime = SimpleNamespace(NARROWS={}, PRECISION_NOTE="")
        self.registry = SimpleNamespace(runtime=lambda name: runtime)

    def variants(self, ref: CaseRef, prepared: Any, name: str, folder: Path, seconds: float) -> Variants:
        self.asked, self.seconds = self.asked + 1, seconds
        if self.error:
            raise self.error
        arrays.write(folder / "v", {"/0": EPSILON.astype(np.float32)})
        entry = VariantEntry(name="eps-0.1", kind=self.kind, sentence="the epsilons of norms are a tenth", file="v")
        return Variants(variants=[entry], skipped=self.skipped)


def evidence(y: Array, left: float = 100.0, r: Array = R) -> Evidence:
    entries = {
        "first": SimpleNamespace(outputs=TREE, references={"": reference(r)}, shapes={}, names={}),
        "second": SimpleNamespace(outputs=TREE, references={"": reference(r)}, shapes={}, names={}),
    }
    prepared = SimpleNamespace(content=SimpleNamespace(exporter_set="second"), sets=entries, key="key")
    runs = {"first": [(TREE, {"/0": y})]}
    return Evidence(prepared, Tolerance(), runs, SimpleNamespace(left=left))  # type: ignore[arg-type]


def explained(tmp_path: Path, given: Evidence | None, exports: FakeExports | None = None) -> Outcome:
    diagnosis = Diagnosis(exports or FakeExports(), tmp_path)  # type: ignore[arg-type]
    return diagnosis.explained(REF, CELL, CLOSE, given)


def test_without_a_cause_it_is_imprecise(tmp_path: Path) -> None:
    exports = FakeExports()
    assert explained(tmp_path, evidence(NOISE), exports) == CLOSE
    assert exports.asked == 1


def test_an_epsilon_is_a_cause_however_close(tmp_path: Path) -> None:
    found = explained(tmp_path, evidence(faithful(EPSILON)))
    assert (found.verdict, found.stage) == (Verdict.MISMATCH, Stage.COMPARE)
    assert found.hints[0].startswith("the epsilons of norms are a tenth: the outputs are ")
    assert found.message.endswith(f"likely cause: {found.hints[0]}")
    # The record does not contradict itself; what passed still does.
    assert {name: entry["verdict"] for name, entry in found.inputs.items()} == {"first": "mismatch", "second": "pass"}
    assert CLOSE.inputs["first"]["verdict"] == "imprecise"


def test_zeros_in_a_row_are_a_cause_and_where_bits_are_lost_is_none(tmp_path: Path) -> None:
    r = R.copy()
    r[5] = 2.0**-20 * numbers(70, seed=8)
    y = faithful(r)
    y[5] *= 1 + np.float32(2.0**-8)
    given = evidence(y, r=r)
    found = explained(tmp_path, given)
    assert (found.verdict, found.hints) == (Verdict.IMPRECISE, ())
    y = faithful(r)
    y[5] = 0.0
    found = explained(tmp_path, evidence(y, r=r))
    assert found.verdict is Verdict.MISMATCH
    assert "row 5 of axis 0 (of 64), which is 0" in found.hints[0]


@pytest.mark.parametrize(
    ("given", "exports", "why"),
    [
        (None, FakeExports(), "nothing is left to be looked at"),
        (evidence(NOISE, left=0.5), FakeExports(), "no time was left to look for causes"),
        (evidence(NOISE), FakeExports(skipped={"gelu-tanh": NO_TIME}), f"{NO_TIME} for the variants gelu-tanh"),
        (
            evidence(NOISE),
            FakeExports(StageFailure(Stage.COMPARE, Verdict.CRASH, "case host died")),
            "the diagnosis failed",
        ),
    ],
    ids=["evidence", "time", "variants", "host"],
)
def test_where_nobody_could_look_it_stays_a_mismatch_and_says_why(
    tmp_path: Path, given: Evidence | None, exports: FakeExports, why: str
) -> None:
    found = explained(tmp_path, given, exports)
    assert (found.verdict, found.hints) == (Verdict.MISMATCH, ())
    assert found.inputs["first"]["verdict"] == "mismatch"
    said = f"close on its own scale, and a mismatch all the same: {why}, so that a cause of it may be unseen"
    assert (found.notes[0], found.notes[-1]) == ("a note", said)
    assert ("no diagnosis: StageFailure: case host died" in found.notes) == (exports.error is not None)


def test_variants_that_this_model_does_not_have_are_not_missing(tmp_path: Path) -> None:
    exports = FakeExports(skipped={"gelu-tanh": "Unchanged: ", "model-float16": "RuntimeError: not implemented"})
    assert explained(tmp_path, evidence(NOISE), exports) == CLOSE


def test_what_is_close_has_more_time_and_asks_again_for_what_was_left_out(tmp_path: Path) -> None:
    exports = FakeExports(skipped={"gelu-tanh": NO_TIME})
    diagnosis = Diagnosis(exports, tmp_path)  # type: ignore[arg-type]
    wrong = Outcome(Verdict.MISMATCH, Stage.COMPARE, "other numbers")
    for outcome, asked, seconds in ((wrong, 1, 60), (wrong, 1, 60), (CLOSE, 2, 180), (CLOSE, 2, 180)):
        diagnosis.explained(REF, CELL, outcome, evidence(NOISE, left=1000.0))
        assert (exports.asked, round(exports.seconds)) == (asked, seconds)


def test_what_nobody_diagnoses_is_a_mismatch() -> None:
    found = undiagnosed(CLOSE, "why")
    assert (found.verdict, found.stage, found.message) == (Verdict.MISMATCH, Stage.COMPARE, CLOSE.message)


def test_no_variant_is_asked_for_where_a_shape_is_wrong(tmp_path: Path) -> None:
    """An encoder of which one output is (0, 0, 32): that no epsilon makes."""
    exports = FakeExports()
    wrong = numbers(0, 70).astype(np.float32)
    given = evidence(faithful(EPSILON))
    runs = {**given.runs, "second": [(TREE, {"/0": wrong})]}
    outcome = Outcome(Verdict.MISMATCH, Stage.COMPARE, "shapes")
    diagnosis = Diagnosis(exports, tmp_path)  # type: ignore[arg-type]
    both = Evidence(given.prepared, given.tolerance, runs, given.budget)
    assert diagnosis.explained(REF, CELL, outcome, both) == outcome
    assert exports.asked == 0
