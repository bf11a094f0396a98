from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_modelconform.report.entries import entries
from pytest_modelconform.report.matrix import field_of, fold, is_blocked
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import NOT_FIT, Outcome, Stage, Verdict

CHECK = Cell("a.py", "a", "eager", "eager")
ORT = Cell("a.py", "a", "onnx", "ort")
TORCH = Cell("a.py", "a", "export", "torch")


def test_a_rerun_counts_as_it_ended() -> None:
    folded = fold([(ORT, Outcome(Verdict.CRASH, Stage.RUN)), (ORT, Outcome(Verdict.PASS))])
    assert folded.totals == {Verdict.PASS: 1}
    assert folded.failures == []


def test_rows_columns_and_totals() -> None:
    other = Cell("b.py", "b", "onnx", "ort")
    folded = fold(
        [
            (CHECK, Outcome(Verdict.PASS)),
            (TORCH, Outcome(Verdict.ERROR, Stage.EXPORT, expected=True)),
            (ORT, Outcome(Verdict.MISMATCH, Stage.COMPARE)),
            (other, Outcome(Verdict.UNAVAILABLE, Stage.ENVIRONMENT, "needs ort")),
        ]
    )
    assert folded.columns == [
        ("export", "torch", "cpu", "full", "inference"),
        ("onnx", "ort", "cpu", "full", "inference"),
    ]
    assert [(row.case, row.check is not None, len(row.cells)) for row in folded.rows] == [
        ("a", True, 2),
        ("b", False, 1),
    ]
    assert sum(folded.totals.values()) == 4
    assert (folded.expected, folded.blocked, folded.absent) == (1, 0, {"needs ort": 1})
    assert [cell for cell, _ in folded.failures] == [ORT]


def test_a_broken_expectation_is_a_failure() -> None:
    assert fold([(ORT, Outcome(Verdict.PASS, expected=False))]).failures
    assert not fold([(ORT, Outcome(Verdict.ERROR, Stage.RUN, expected=True))]).failures


def test_blocked() -> None:
    fault = Outcome(Verdict.ERROR, Stage.REFERENCE)
    assert is_blocked(ORT, fault)
    assert not is_blocked(CHECK, fault)
    assert not is_blocked(ORT, Outcome(Verdict.CRASH, Stage.REFERENCE))
    assert fold([(CHECK, fault), (ORT, fault)]).blocked == 1
    # The noise of fast modes may fail for itself; and a fast cell may follow from the model check, too.
    fast = replace(ORT, precision="fast")
    assert not is_blocked(fast, fault)
    assert is_blocked(fast, replace(fault, message="the model itself is not fit to be compared with, see a[eager]: no"))


def test_what_rests_on_the_check_of_steps() -> None:
    fault = Outcome(Verdict.ERROR, Stage.REFERENCE, "it draws random numbers")
    follows = replace(fault, message=f"{NOT_FIT}, see a[eager]: it draws random numbers")
    steps, ort = replace(CHECK, task="sequence"), replace(ORT, task="sequence")
    # It may fail for itself, or since a single call does.
    assert not is_blocked(steps, fault)
    assert is_blocked(steps, follows)
    assert [cell for cell, _ in fold([(CHECK, Outcome(Verdict.PASS)), (steps, fault), (ort, follows)]).failures] == [
        steps
    ]
    both = fold([(CHECK, fault), (steps, follows), (ort, follows), (ORT, follows)])
    assert [(entry.cell, entry.following) for entry in entries(both)] == [(CHECK, 3)]


def test_columns_are_in_the_registrys_order_and_rows_in_that_of_their_files() -> None:
    later = Cell("z.py", "z", "onnx", "ort")
    cells = [(cell, Outcome(Verdict.PASS)) for cell in (later, ORT, TORCH)]
    folded = fold(cells, ["onnx", "export"], ["torch", "ort"])
    assert [column[:2] for column in folded.columns] == [("onnx", "ort"), ("export", "torch")]
    assert [row.case for row in folded.rows] == ["a", "z"]


def test_a_dtype_is_a_row_and_a_precision_a_column() -> None:
    variants = [replace(ORT, dtype=dtype) for dtype in ("bfloat16", "float16", "float32")]
    variants += [replace(ORT, precision="fast"), replace(CHECK, dtype="bfloat16"), Cell("a.py", "other", "onnx", "ort")]
    folded = fold([(cell, Outcome(Verdict.PASS)) for cell in variants])
    assert folded.columns == [("onnx", "ort", "cpu", "full", "inference"), ("onnx", "ort", "cpu", "fast", "inference")]
    assert [(row.case, row.dtype, row.check is not None, len(row.cells)) for row in folded.rows] == [
        ("a", "float32", False, 2),
        ("a", "float16", False, 1),
        ("a", "bfloat16", True, 1),
        ("other", "float32", False, 1),
    ]


@pytest.mark.parametrize(
    ("file", "field"),
    [
        ("cases/vision/resnet.py", "vision"),
        ("deep/cases/text/bert/bert.py", "text"),
        ("cases/mlp.py", ""),
        ("models/audio/whisper.py", "models"),
        ("../../cases/graph/gcn.py", "graph"),
        ("../x.py", ""),
        ("alone.py", ""),
        ("cases\\vision\\resnet.py", "vision"),
    ],
)
def test_the_field_is_the_folder_below_cases(file: str, field: str) -> None:
    assert field_of(file) == field
