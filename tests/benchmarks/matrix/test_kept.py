"""What a folder of logs holds need not run again."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.matrix.kept import Kept
from pytest_modelconform.report.log import LogWriter
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict

A = Cell("cases/vision/a.py", "a", "onnx", "ort")
B = Cell("cases/vision/b.py", "b", "onnx", "ort")
PASS, NOT_RUN = Outcome(Verdict.PASS, bits=20), Outcome(Verdict.NOT_RUN)
ERROR = Outcome(Verdict.ERROR, Stage.RUN, "no")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in (("vision/a", "import pictures\n"), ("vision/b", ""), ("vision/pictures", ""), ("text/c", "")):
        path = tmp_path / "cases" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def session(root: Path, *cells: tuple[Cell, Outcome], complete: bool = True) -> Path:
    path = Kept(root / "logs", root).begin("onnx", [cell.file for cell, _ in cells])
    writer = LogWriter(path, {})
    for cell, outcome in cells:
        writer.cell(cell, outcome)
    if complete:
        writer.close()
    else:
        writer.abandon()
    return path


def done(root: Path) -> dict[Cell, Verdict]:
    return {cell: outcome.verdict for cell, (outcome, _) in Kept(root / "logs", root).cells().items()}


def test_what_ran_before_an_interruption_is_kept_and_the_rest_is_not(root: Path) -> None:
    path = session(root, (A, PASS), (B, NOT_RUN), complete=False)
    path.write_bytes(path.read_bytes() + b'{"kind": "cell", "id": "cut o')
    assert done(root) == {A: Verdict.PASS}


def test_a_log_that_was_cut_off_before_its_header_is_none(root: Path) -> None:
    session(root).write_text("")
    assert done(root) == {}


def test_the_newest_record_counts(root: Path) -> None:
    session(root, (A, ERROR))
    session(root, (A, PASS))
    session(root, (A, NOT_RUN))
    assert done(root) == {A: Verdict.PASS}


@pytest.mark.parametrize(("changed", "left"), [("vision/a", {B}), ("vision/pictures", {B}), ("text/c", {A, B})])
def test_a_case_that_was_changed_runs_again_alone(root: Path, changed: str, left: set[Cell]) -> None:
    session(root, (A, PASS), (B, PASS))
    (root / "cases" / f"{changed}.py").write_text("import pictures  # another one\n")
    assert set(done(root)) == left


def test_a_case_in_cpp_is_a_part_of_the_case(root: Path) -> None:
    (root / "cases/vision/b.cpp").write_text("int a;")
    session(root, (B, PASS))
    (root / "cases/vision/b.cpp").write_text("int b;")
    assert done(root) == {}


@pytest.mark.parametrize(
    ("pattern", "verdicts", "left"),
    [
        ("*", (), set()),
        ("*::a[[]onnx-*", (), {A, B}),
        ("*::a[onnx-*", (), {B}),
        ("*", (Verdict.ERROR,), {A}),
        ("cases/text/*", (), {A, B}),
    ],
)
def test_what_is_forgotten_runs_again(root: Path, pattern: str, verdicts: tuple[Verdict, ...], left: set[Cell]) -> None:
    session(root, (A, PASS), (B, ERROR))
    kept = Kept(root / "logs", root)
    assert kept.forget(pattern, verdicts) == 2 - len(left)
    assert set(kept.cells()) == set(done(root)) == left
