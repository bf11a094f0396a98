"""`modelconform update-expected`: expected.toml as a log says."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelconform.commands import cli
from pytest_modelconform.report.log import Log, write
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict

CASE = """\
import torch
from pytest_modelconform import Case

case = Case(model=lambda: torch.nn.Linear(3, 4), inputs={"two": lambda: (torch.rand(2, 3),)})
"""
ORT, TORCH = Cell("cases/net.py", "net", "onnx", "ort"), Cell("cases/net.py", "net", "export", "torch")
EXPECTED = """\
# ours

[[cause]]
id = "torch-a"
reason = "takes b"
message = "took b"

[[expect]]
cause = "torch-a"
cell = "net.py::net[export-torch-cpu]"
verdict = "error"
stage = "export"

[[expect]]
cell = "net.py::net[onnx-ort-cpu]"
verdict = "mismatch"
stage = "compare"
reason = "no longer"
"""
TOOK = Outcome(Verdict.ERROR, Stage.RUN, "x, entry 1 expects another\nRuntimeError: took b", expected=False)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "cases").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "cases/net.py").write_text(CASE)
    (tmp_path / "cases/expected.toml").write_text(EXPECTED)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def logged(folder: Path, *cells: tuple[Cell, Outcome]) -> str:
    write(Log({}, list(cells), True), folder / "all.jsonl")
    return str(folder / "all.jsonl")


@pytest.mark.compiles  # the case file is imported
def test_the_file_says_what_the_log_says(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = logged(project, (TORCH, TOOK), (ORT, Outcome(Verdict.PASS)))
    assert cli.main(["update-expected", log]) == 0
    path = project / "cases/expected.toml"
    assert f"{path}: 0 added, 1 changed, 1 removed" in capsys.readouterr().out
    text = path.read_text()
    assert text.startswith("# ours\n")
    assert 'verdict = "error"\nstage = "run"' in text
    assert 'cause = "torch-a"' in text
    assert "no longer" not in text
    assert "TODO" not in text
    assert cli.main(["update-expected", log]) == 0
    assert path.read_text() == text
    assert "no file needs an update" in capsys.readouterr().out


def test_what_is_no_log_or_of_another_project_changes_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "junk").write_text("junk\n")
    assert cli.main(["update-expected", "junk"]) == 2
    elsewhere = logged(project, (Cell("other/a.py", "a", "onnx", "ort"), TOOK))
    assert cli.main(["update-expected", elsewhere]) == 2
    assert "none of the log's case files is here: other/a.py is not in" in capsys.readouterr().err
    assert (project / "cases/expected.toml").read_text() == EXPECTED
