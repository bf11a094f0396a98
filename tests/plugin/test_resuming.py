"""`--modelconform-resume`: what had run stands as long as it holds, the rest runs, and nothing vanishes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pytest_modelconform.plugin.resuming import Resumed
from pytest_modelconform.report import log
from pytest_modelconform.report.log import Log, LogWriter
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from tests.support import runs
from tests.support.runs import Run

# Wrong by its structure: no cause of that is looked for, which would take a case host.
WRONG = "structure@run"
BOTH = "fake-good-never,fake-structure-run"
ENVIRONMENT = {"pytest-modelconform": "1", "python": "3", "packages": {"torch": "2"}, "options": {"threads": [1, 2]}}
# A helper beside the case, which is what changes.
HELPED = "from helper import WEIGHT\n" + runs.PLAIN.replace("[3.0]", "[WEIGHT]")


def cut(path: Path, cells: int, more: str = "") -> None:
    """As a controller that was killed leaves it: with so many cells, and the beginning of the next line."""
    lines = path.read_text().splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["kind"] == "cell"][:cells]
    path.write_text("".join([lines[0], *kept]) + more)


def kinds(path: Path) -> list[str]:
    return [json.loads(line)["kind"] for line in path.read_text().splitlines()]


def started(folder: Path) -> int:
    """How many runtimes' workers have started, by what they note; the folder is emptied."""
    found = len(list(folder.glob("worker-*")))
    shutil.rmtree(folder)
    folder.mkdir()
    return found


@pytest.fixture
def noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "pids"
    folder.mkdir()
    monkeypatch.setenv("FAKE_PIDS", str(folder))
    return folder


Here = Callable[..., Run]


@pytest.fixture
def here(pytester: pytest.Pytester) -> Here:
    """Runs in this process, for which all cases are in the cache."""
    return partial(runs.run_here, pytester)


@pytest.mark.parametrize(("processes", "same"), [("2", True), ("0", False)], ids=["one file", "two files"])
def test_the_rest_of_a_killed_run_runs(
    project: Path, tmp_path: Path, noted: Path, here: Here, processes: str, same: bool
) -> None:
    first = tmp_path / "first.jsonl"
    options = ("-n", processes, f"--modelconform-resume={first}")
    whole = here(project, f"--modelconform-log={first}", runtimes=BOTH)
    assert whole.status == 1
    started(noted)
    # plain's three and the first of second's; one of them is red.
    cut(first, 4, '{"kind": "cell", "id": "second.py::second[tor')
    second = first if same else tmp_path / "second.jsonl"
    found = runs.run(project, *options, f"--modelconform-log={second}", runtimes=BOTH)
    assert found.status == 1, found.stdout
    assert found.cells.keys() == whole.cells.keys()
    verdicts = [{name: cell["verdict"] for name, cell in run.cells.items()} for run in (whole, found)]
    assert verdicts[0] == verdicts[1]
    assert f"modelconform: going on with {first}, where 4 cells had run" in found.stdout
    assert f"modelconform: 4 cells as in {first}\n" in found.stdout.partition("compatibility matrix")[2]
    assert started(noted) > 0
    # All of it is in the new log, once for readers.
    assert sorted(cell.id for cell, _ in log.read(second).cells) == sorted(cell["id"] for cell in whole.cells.values())
    assert log.read(second).complete
    # Now nothing is left to run.
    third = runs.run(project, "-n", processes, f"--modelconform-resume={second}", runtimes=BOTH)
    assert (third.status, started(noted)) == (1, 0), third.stdout
    assert third.cells.keys() == whole.cells.keys()


def test_one_command_begins_and_goes_on(project: Path, tmp_path: Path, here: Here) -> None:
    path = tmp_path / "run.jsonl"
    options = (f"--modelconform-resume={path}", f"--modelconform-log={path}")
    for content, said in (
        (None, "nothing of"),
        ("", "nothing of"),
        ('{"kind": "header", "sch', "nothing of"),
        (..., "going on with"),
    ):
        if isinstance(content, str):
            path.write_text(content)
        found = here(project, *options)
        assert found.status == 0, found.stdout + found.stderr
        assert f"modelconform: {said} {path}" in found.stdout
        assert len(log.read(path).cells) == 4
    alone = here(project, f"--modelconform-resume={tmp_path / 'missing.jsonl'}")
    assert alone.status == pytest.ExitCode.USAGE_ERROR
    assert f"--modelconform-resume: {tmp_path / 'missing.jsonl'}: No such file or directory" in alone.stderr


def test_a_case_that_changed_runs_again(tmp_path: Path) -> None:
    folder = runs.write(tmp_path, {"helper.py": "WEIGHT = 3.0\n", "changing.py": HELPED, "plain.py": runs.PLAIN})
    path = tmp_path / "run.jsonl"
    options = (f"--modelconform-resume={path}", f"--modelconform-log={path}")
    assert runs.run(folder, *options).status == 0
    # Not the case's own file, and so that it fails: what was green has to become red.
    (folder / "helper.py").write_text("WEIGHT = float('nan')\n")
    found = runs.run(folder, *options)
    assert found.cells["changing[eager]"]["verdict"] == "error", found.stdout
    assert found.cells["plain[eager]"]["verdict"] == "pass"
    assert "more of it ran again, since their cases, or what they are made with, may have changed" in found.stdout
    # Where nobody knows any more what it was made of, nothing stands.
    empty = runs.run(folder, *options, env={"MODELCONFORM_CACHE": str(tmp_path / "cache")})
    assert "modelconform: 0 cells as in" in empty.stdout


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_file_that_a_case_ships_and_that_changed_runs_again(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")

    def ship(weight: float) -> None:
        module = torch.nn.Linear(2, 2)
        torch.nn.init.constant_(module.bias, 1.0)
        with torch.no_grad():
            module.weight.copy_(torch.eye(2) * weight)
        torch.jit.trace(module, torch.ones(2, 2)).save(folder / "net.pt")

    theirs = 'Case(model=lambda: Net(), inputs=inputs, exports={"torchscript-trace@theirs": Export(file="net.pt")})'
    case = runs.PLAIN.replace("Case(model=lambda: Net(), inputs=inputs)", theirs).replace(
        "import Case", "import Case, Export"
    )
    folder = runs.write(tmp_path, {"plain.py": case})
    ship(3.0)
    path = tmp_path / "run.jsonl"
    options = ("-n", "0", f"--modelconform-resume={path}", f"--modelconform-log={path}")
    shipped, other = "plain[torchscript_trace@theirs-torch-cpu]", "plain[torchscript_trace-torch-cpu]"
    found = runs.run(folder, *options, runtimes="torch")
    assert [found.cells[name]["verdict"] for name in (shipped, other)] == ["pass", "pass"], found.stdout
    assert "modelconform: 3 cells as in" in runs.run(folder, *options, runtimes="torch").stdout
    ship(5.0)
    found = runs.run(folder, *options, runtimes="torch")
    assert [found.cells[name]["verdict"] for name in (shipped, other)] == ["mismatch", "pass"], found.stdout
    assert "modelconform: 2 cells as in" in found.stdout


def test_what_is_left_of_a_run_that_was_ended_says_how_to_go_on(project: Path, tmp_path: Path, here: Here) -> None:
    path = tmp_path / "run.jsonl"
    stopped = here(project, "-x", f"--modelconform-log={path}", runtimes=BOTH)
    said = f"not run; to run the rest, add --modelconform-resume {os.path.relpath(path, project)}"
    assert said in stopped.stdout, stopped.stdout
    found = here(project, f"--modelconform-resume={path}", "-k", "plain", runtimes=BOTH)
    assert said not in found.stdout
    assert len(found.cells) == 3
    assert "not-run" not in {cell["verdict"] for cell in found.cells.values()}


def test_a_run_that_went_on_and_was_ended_keeps_what_it_did_not_come_to(
    project: Path, tmp_path: Path, noted: Path, here: Here
) -> None:
    path = tmp_path / "run.jsonl"
    options = (f"--modelconform-resume={path}", f"--modelconform-log={path}")
    whole = here(project, *options, runtimes=BOTH)
    # It stops at the first red cell, which is an earlier session's: all behind it are "not run" in its log.
    stopped = here(project, *options, "-x", runtimes=BOTH)
    assert "not-run" in {cell["verdict"] for cell in stopped.cells.values()}
    started(noted)
    found = here(project, *options, runtimes=BOTH)
    assert started(noted) == 0
    verdicts = [{name: cell["verdict"] for name, cell in run.cells.items()} for run in (whole, found)]
    assert verdicts[0] == verdicts[1]


def test_cells_that_are_no_part_of_the_run_are_said_and_kept(project: Path, tmp_path: Path, here: Here) -> None:
    path = tmp_path / "run.jsonl"
    options = (f"--modelconform-resume={path}", f"--modelconform-log={path}")
    here(project, *options)
    part = here(project, *options, "-k", "plain")
    assert "modelconform: 2 cells of it are no part of this run: the command was another one" in part.stdout
    assert len(part.cells) == 2
    whole = here(project, *options)
    assert "modelconform: 4 cells as in" in whole.stdout
    assert len(whole.cells) == 4


def test_what_expected_toml_says_now_counts(tmp_path: Path, here: Here) -> None:
    folder = runs.write(tmp_path / "p", {"plain.py": runs.PLAIN})
    path = tmp_path / "run.jsonl"
    options = (f"--modelconform-resume={path}", f"--modelconform-log={path}")
    assert here(folder, *options, runtimes=BOTH).status == 1
    entry = '[[expect]]\ncell = "plain.py::*structure*"\nverdict = "mismatch"\nstage = "compare"\nreason = "known"\n'
    (folder / "expected.toml").write_text(entry)
    found = here(folder, *options, runtimes=BOTH)
    assert found.status == 0, found.stdout
    assert found.cells[runs.cell("plain", WRONG)]["expected"] is True
    (folder / "expected.toml").unlink()
    again = here(folder, *options, runtimes=BOTH)
    assert again.status == 1
    wrong = again.cells[runs.cell("plain", WRONG)]
    assert (wrong["expected"], [note for note in wrong["notes"] if note.startswith("expected")]) == (None, [])
    assert "modelconform: 3 cells as in" in again.stdout


# -- without a run -----------------------------------------------------------------------------------------------------


def resumed(tmp_path: Path, *cells: tuple[Cell, Outcome], environment: Mapping[str, Any] = ENVIRONMENT) -> Resumed:
    path = tmp_path / "run.jsonl"
    with LogWriter(path, environment) as writer:
        for cell, outcome in cells:
            writer.cell(cell, outcome)
    return Resumed.of(path)


def cell(runtime: str = "ort") -> Cell:
    return Cell("a.py", "a", "onnx", runtime)


def outcome(verdict: Verdict = Verdict.PASS, **fields: Any) -> Outcome:
    return Outcome(verdict, Stage.RUN, **{"made_of": "abc", **fields})


@pytest.mark.parametrize(
    ("before", "made_of", "timeout", "stands"),
    [
        (outcome(), "abc", 300.0, True),
        (outcome(Verdict.CRASH), "abc", 300.0, True),
        (outcome(), "abd", 300.0, False),
        (outcome(), "", 300.0, False),
        (outcome(made_of=""), "", 300.0, False),
        (outcome(Verdict.NOT_RUN), "abc", 300.0, False),
        (outcome(Verdict.UNAVAILABLE), "abc", 300.0, False),
        (outcome(Verdict.ERROR, message="not tested: no room"), "abc", 300.0, False),
        (outcome(Verdict.TIMEOUT), "abc", 300.0, True),
        (outcome(Verdict.TIMEOUT), "abc", 600.0, False),
    ],
)
def test_which_records_stand(tmp_path: Path, before: Outcome, made_of: str, timeout: float, stands: bool) -> None:
    environment = {**ENVIRONMENT, "options": {"timeout": 300.0}}
    found = resumed(tmp_path, (cell(), before), environment=environment)
    assert found.outcome(cell(), timeout, lambda: made_of) == (before if stands else None)
    assert found.outcome(cell("other"), timeout, lambda: made_of) is None


@pytest.mark.parametrize("later", [outcome(Verdict.NOT_RUN), outcome(Verdict.UNAVAILABLE)])
def test_what_says_nothing_leaves_what_was_carried_on(tmp_path: Path, later: Outcome) -> None:
    path = tmp_path / "next.jsonl"
    before = resumed(tmp_path, (cell(), outcome()))
    writer = LogWriter(path, ENVIRONMENT, carried=before.records(300.0))
    writer.cell(cell(), later)
    writer.close()
    assert Resumed.of(path).outcome(cell(), 300.0, lambda: "abc") == outcome()


def test_what_had_less_time_is_not_carried_on(tmp_path: Path) -> None:
    # Its limit would be taken for that of the next log's header.
    environment = {**ENVIRONMENT, "options": {"timeout": 300.0}}
    found = resumed(tmp_path, (cell(), outcome(Verdict.TIMEOUT)), (cell("other"), outcome()), environment=environment)
    assert [record["runtime"] for record in found.records(300.0)] == ["ort", "other"]
    assert [record["runtime"] for record in found.records(600.0)] == ["other"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"python": "4"}, "was written with python 3, and this run has 4: results of both would be in one report. "),
        ({"packages": {"torch": "3"}}, "was written with torch 2, and this run has 3"),
        ({"options": {"threads": []}}, "was written with --modelconform-threads 1,2, and this run has nothing"),
        ({"packages": {"other": "1"}}, ""),
        ({"options": {"threads": [1, 2], "formats": ["onnx"]}}, ""),
        ({}, ""),
    ],
)
def test_sessions_that_would_come_to_something_else_are_refused(
    tmp_path: Path, change: Mapping[str, Any], said: str
) -> None:
    found = resumed(tmp_path, (cell(), outcome()))
    now = {**ENVIRONMENT, **change}
    if not said:
        found.refuse_others(now)
        return
    with pytest.raises(pytest.UsageError) as caught:
        found.refuse_others(now)
    assert f"--modelconform-resume: {tmp_path / 'run.jsonl'} {said}" in str(caught.value)
    # Of which nothing is known nothing can differ.
    resumed(tmp_path).refuse_others(now)


@pytest.mark.parametrize("text", ["not a log\n", '{"kind": "header"}\n', "\0\0\0\0\n"])
def test_what_is_no_log_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(text)
    with pytest.raises(pytest.UsageError, match="--modelconform-resume: "):
        Resumed.of(path, path)


def test_a_log_that_is_replaced_is_whole_at_each_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = resumed(tmp_path, (cell(), outcome()), (cell("other"), outcome()))
    path = tmp_path / "run.jsonl"
    text = path.read_text()
    seen: list[Sequence[str]] = []

    def broken() -> Any:
        records = found.records(300.0)
        yield next(records)
        seen.append(path.read_text())
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        LogWriter(path, ENVIRONMENT, carried=broken())
    assert seen == [text]
    assert path.read_text() == text
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.jsonl"]
    LogWriter(path, ENVIRONMENT, carried=found.records(300.0)).abandon()
    assert kinds(path) == ["header", "carried", "carried"]
    assert log.read(path).cells == []
    assert len(Resumed.of(path)) == 2
    # A record of this session is the newer one.
    writer = LogWriter(path, ENVIRONMENT, carried=Resumed.of(path).records(300.0))
    writer.cell(cell(), outcome(Verdict.CRASH))
    writer.abandon()
    now = Resumed.of(path).outcome(cell(), 300.0, lambda: "abc")
    assert now is not None
    assert now.verdict is Verdict.CRASH
    assert isinstance(log.read(path), Log)
