"""The logs of a long run as one."""

from __future__ import annotations

from pathlib import Path

from benchmarks.matrix.joined import RECORDS, REPORTS, brief, joined, write
from benchmarks.matrix.kept import Kept
from pytest_modelconform.report.log import Log, LogWriter
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict

ORT, TRACT = (Cell("cases/a.py", "a", "onnx", runtime) for runtime in ("ort", "tract"))
WRONG = Outcome(Verdict.MISMATCH, Stage.COMPARE, "wrong")
OLD = "x, entry 3 expects error at stage load (no), but the result is mismatch.\nwrong"
EXPECTED = """
[[cause]]
id = "ort-a"
reason = "takes b"

[[expect]]
cause = "ort-a"
cell = "a.py::a[onnx-ort-cpu]"
verdict = "mismatch"
stage = "compare"
"""


def test_cells_are_judged_by_what_is_expected_today(tmp_path: Path) -> None:
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases/a.py").write_text("")
    (tmp_path / "cases/expected.toml").write_text(EXPECTED)
    kept = Kept(tmp_path / "logs", tmp_path)
    for number, outcome in enumerate((WRONG, Outcome(Verdict.MISMATCH, Stage.COMPARE, OLD, expected=False))):
        with LogWriter(kept.begin("onnx", [ORT.file]), {"python": "3"}) as writer:
            writer.cell((ORT, TRACT)[number], outcome)
    whole = joined(kept, [ORT, TRACT], tmp_path)
    assert whole.complete
    found = dict(whole.cells)
    assert (found[ORT].expected, (found[ORT].cause or {}).get("id")) == (True, "ort-a")
    assert found[TRACT] == WRONG


def test_what_did_not_run_is_there_and_said(tmp_path: Path) -> None:
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases/a.py").write_text("")
    kept = Kept(tmp_path / "logs", tmp_path)
    with LogWriter(kept.begin("onnx", [ORT.file]), {"python": "3"}) as writer:
        writer.cell(ORT, WRONG)
    whole = joined(kept, [ORT, TRACT], tmp_path)
    assert not whole.complete
    assert whole.environment["missing"] == ["1 cell of the columns onnx-readers"]
    assert dict(whole.cells)[TRACT].verdict is Verdict.NOT_RUN
    assert not joined(Kept(tmp_path / "none", tmp_path), [ORT], tmp_path).complete


def test_the_page_has_what_is_wrong_whole_and_no_paths() -> None:
    entry = {
        "verdict": "pass",
        "bits": 20.0,
        "seconds": 0.1,
        "shapes": {"a": [1]},
        "outputs": {"output": {"bits": 20.0}},
    }
    wrong = {**entry, "verdict": "mismatch"}
    outcome = Outcome(
        Verdict.MISMATCH, Stage.COMPARE, "a\n" * 50 + "b" * 999, inputs={"a": entry, "b": wrong}, artifact="/x"
    )
    ((_, found),) = brief(Log({}, [(ORT, outcome)], True)).cells
    assert found.inputs == {"a": {"verdict": "pass", "bits": 20.0, "seconds": 0.1}, "b": wrong}
    assert found.artifact is None
    assert found.message == "\n".join("a" * 12)
    ((_, found),) = brief(Log({}, [(ORT, Outcome(Verdict.ERROR, Stage.RUN, "b" * 999))], True)).cells
    assert found.message == "b" * 400
    options = {"formats": ["onnx"], "arguments": ["--modelconform-log=/x/0001.jsonl"]}
    shown = brief(Log({"python": "3", "options": options}, [], True)).environment
    assert shown == {"python": "3", "options": {"formats": ["onnx"]}}


def test_reports_of_a_joined_log_are_written(tmp_path: Path) -> None:
    write(Log({}, [(ORT, WRONG)], True), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(REPORTS)
    assert "# All formats and runtimes" in (tmp_path / "matrix.md").read_text()
    assert "<title>All formats and runtimes</title>" in (tmp_path / "matrix.html").read_text()


def test_who_has_the_joined_log_goes_on_from_it(tmp_path: Path) -> None:
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases/a.py").write_text("")
    kept = Kept(tmp_path / "logs", tmp_path)
    with LogWriter(kept.begin("onnx", [ORT.file]), {"python": "3"}) as writer:
        writer.cell(ORT, WRONG)
    write(joined(kept, [ORT, TRACT], tmp_path), tmp_path, [RECORDS])
    other = Kept(tmp_path / "elsewhere", tmp_path, tmp_path / RECORDS)
    assert {cell: outcome for cell, (outcome, _) in other.cells().items()} == {ORT: WRONG}
    with LogWriter(other.begin("onnx", [TRACT.file]), {"python": "3"}) as writer:
        writer.cell(TRACT, WRONG)
    whole = joined(other, [ORT, TRACT], tmp_path)
    assert whole.complete
    assert "missing" not in whole.environment
    assert dict(whole.cells) == {ORT: WRONG, TRACT: WRONG}
    # A case that has changed since runs again, and what a session wrote later counts.
    (tmp_path / "cases/a.py").write_text("b = 1")
    assert Kept(tmp_path / "third", tmp_path, tmp_path / RECORDS).cells() == {}
    assert Kept(tmp_path / "third", tmp_path, tmp_path / "none.xz").cells() == {}
