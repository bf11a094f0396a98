"""What was computed survives: whatever the disk, a report or the matrix does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelconform.plugin import header
from pytest_modelconform.plugin.log import RunLog
from pytest_modelconform.report import html, json_report, log, matrix, terminal
from pytest_modelconform.terms.cell import EAGER, Cell
from pytest_modelconform.terms.outcome import NOT_FIT, Outcome, Stage, Verdict
from tests.support import counting, runs

CELL = "plain.py::plain[torchscript_trace-fake_good_never-cpu]"


@pytest.mark.parametrize("option", ["json", "html", "log"])
def test_a_place_that_can_not_be_written_is_said_before_anything_runs(
    project: Path, pytester: pytest.Pytester, option: str
) -> None:
    found = runs.run_here(pytester, project, "plain.py", f"--modelconform-{option}=plain.py/report")
    assert found.status == pytest.ExitCode.USAGE_ERROR
    place = project / "plain.py"
    assert [line for line in found.stderr.splitlines() if line.strip()] == [
        f"ERROR: --modelconform-{option}: {place}/report can't be written: {place} is a file, not a folder; choose "
        "another place"
    ]
    assert "collected" not in found.stdout


def fails(error: Exception) -> Callable[..., None]:
    def fail(*arguments: object, **more: object) -> None:
        raise error

    return fail


FULL = OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("owner", "name", "error", "what", "why"),
    [
        (json_report, "write", FULL, "the JSON report ", "written: No space left on device"),
        (html, "write", FULL, "the page ", "written: No space left on device"),
        (html, "write", KeyError("bits"), "the page ", "written: KeyError: 'bits' (pytest_modelconform/plugin/log.py:"),
        (log.LogWriter, "__init__", FULL, "the log ", "written: No space left on device"),
        (log.LogWriter, "record", FULL, "the log ", "written: No space left on device"),
        (log.LogWriter, "close", FULL, "the log ", "written: No space left on device"),
        (log, "read", ValueError("odd"), "the log ", "read: ValueError: odd"),
        (header, "describe", ValueError("odd"), "the header of the log ", "written: ValueError: odd"),
        (matrix, "fold", ZeroDivisionError("odd"), "the matrix ", "written: ZeroDivisionError: odd"),
        (terminal, "write", FULL, "the matrix ", "written: No space left on device"),
    ],
)
def test_what_fails_at_the_end_is_a_line_and_the_results_are_there(
    project: Path,
    pytester: pytest.Pytester,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    name: str,
    error: Exception,
    what: str,
    why: str,
) -> None:
    monkeypatch.setattr(owner, name, fails(error))
    found = runs.run_here(pytester, project, "plain.py", f"--modelconform-html={tmp_path / 'report.html'}")
    assert "INTERNALERROR" not in found.stdout + found.stderr
    assert "Traceback" not in found.stdout + found.stderr
    end = found.stdout.partition("compatibility matrix")[2]
    # The matrix, or each result in its place.
    assert f"{CELL}: pass" in end if owner in (matrix, terminal) else "plain  " in end
    [said] = [line for line in end.splitlines() if line.startswith("modelconform: ")]
    assert said.startswith(f"modelconform: {what}")
    assert f"could not be {why}" in said
    assert "\nlog: " in end or (owner, name) == (log.LogWriter, "__init__")
    # Whoever asked for a report has to hear of it; the matrix is none.
    assert found.status == (0 if owner in (matrix, terminal) else 1)


def test_a_page_that_became_several_is_said(
    project: Path, pytester: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(html, "MOST", 1)
    page = tmp_path / "report.html"
    found = runs.run_here(pytester, project, "plain.py", f"--modelconform-html={page}")
    assert found.status == 0
    assert f"{page} leads to 1 page in {tmp_path / 'report.parts'}: keep them together." in found.stdout
    assert [path.name for path in (tmp_path / "report.parts").iterdir()] == ["1-plain.html"]


def test_a_project_that_can_not_be_written_to_has_its_log_elsewhere(
    project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pytest.Cache, "mkdir", fails(PermissionError(13, "Permission denied")))
    found = runs.run_here(pytester, project, "plain.py")
    assert found.status == 0
    [line] = [line for line in found.stdout.splitlines() if line.startswith("log: ")]
    path = Path(line.removeprefix("log: "))
    assert log.read(path).complete
    path.unlink()


def test_what_a_cell_takes_does_not_grow_with_their_number(tmp_path: Path) -> None:
    """All of a case follow from its check, or fail for the same reason: the log looks for that at each of them."""
    settings = SimpleNamespace(log=tmp_path / "log.jsonl", shard=None, json=None, html=None, cache=tmp_path)
    option = SimpleNamespace(option=SimpleNamespace(collectonly=True))
    machinery = SimpleNamespace(witnesses=None)

    def prepared(cases: int) -> Callable[[], object]:
        run: Any = SimpleNamespace(is_xdist_worker=False, config=option, settings=settings, machinery=machinery)
        run.is_refused, run.sharded, run.recordings, run.resumed = False, {}, None, None
        run.accounting = SimpleNamespace(record=dict)
        found = RunLog(run)
        cells = [Cell(f"{i}.py", "net", EAGER, EAGER) for i in range(cases)]
        cells += [Cell(f"{i}.py", "net", "onnx", "ort") for i in range(cases)]
        found.collected = {cell.id: cell for cell in cells}
        fails = Outcome(Verdict.ERROR, Stage.REFERENCE, NOT_FIT)

        def record() -> None:
            for cell in cells:
                found.record(cell, fails)
            assert found.finish() or found.faults

        return record

    assert counting.growth(prepared, 50) < counting.MOST
