"""Runs that look for the operators that their red cells fail at. What a search comes to is a simulated one's here."""

from __future__ import annotations

import importlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_modelconform.blame.waiting import Waiting
from pytest_modelconform.plugin import blame_option, blaming
from pytest_modelconform.report import log
from pytest_modelconform.terms.blame import Blame, Guilty
from pytest_modelconform.terms.outcome import Outcome
from pytest_modelconform.terms.program import Operator
from tests.support import runs

BLAME = "pytest_modelconform.blame"
WRONG = "fake-wrong-run,fake-good-never"
RED = runs.cell("plain", "wrong@run")
LINE = "guilty: aten.mul.Tensor (net.py:9), in the runtime; 1.0 of 22.0 bits right there"
FOUND = Blame(
    guilty=(
        Guilty(
            operators=(Operator(name="mul", target="aten.mul.Tensor", call="", file="net.py", line=9),),
            stage="compare",
            message="wrong",
            bits=1.0,
            of=22.0,
            party="runtime",
        ),
    ),
    seconds=0.1,
)
# For processes of their own.
PLUGIN = """\
import os, pathlib, sys, time, types

import pytest_modelconform.blame
from tests.plugin import test_blaming


def find(machinery, case, ref, cell, outcome, seconds, progress):
    pathlib.Path(os.environ["SEARCHED"], f"{cell.case}-{os.getpid()}").touch()
    time.sleep(float(os.environ["SLEEP"]))
    return test_blaming.FOUND


module = types.ModuleType("pytest_modelconform.blame.find")
module.find = find
sys.modules[module.__name__] = pytest_modelconform.blame.find = module
"""


def left_behind(temporary: Path) -> list[str]:
    """What searches left in a folder for temporary files of their own: other sessions run beside these."""
    return [path.name for path in temporary.glob("modelconform-*-blame")]


class Search:
    """Stands for the search: what it is asked for, and what it does."""

    def __init__(self, file: str) -> None:
        self.asked: list[tuple[str, float]] = []
        [guilty] = FOUND.guilty
        operators = tuple(replace(operator, file=file) for operator in guilty.operators)
        self.does: Callable[[], Blame] = lambda: replace(FOUND, guilty=(replace(guilty, operators=operators),))

    def __call__(self, *given: Any) -> Blame:
        _, case, ref, cell, outcome, seconds, _ = given
        assert (ref.file.name, case.name) == (cell.file, cell.case)
        assert isinstance(outcome, Outcome)
        self.asked.append((cell.name, seconds))
        return self.does()


@pytest.fixture
def search(project: Path, monkeypatch: pytest.MonkeyPatch) -> Search:
    found = Search(str(project / "net.py"))
    module = types.ModuleType(f"{BLAME}.find")
    module.find = found  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(importlib.import_module(BLAME), "find", module, raising=False)
    return found


def test_a_red_cell_is_searched_in_once_all_have_run(
    project: Path, tmp_path: Path, pytester: pytest.Pytester, search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    (temporary := tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    path = tmp_path / "log.jsonl"
    found = runs.run_here(pytester, project, "--modelconform-blame", f"--modelconform-log={path}", runtimes=WRONG)
    assert found.status == 1
    assert search.asked == [(RED, 60.0), (runs.cell("second", "wrong@run"), 60.0)]
    # Its file is named as the cell's is.
    assert Blame.from_json(found.cells[RED]["blame"]) == FOUND
    assert found.cells[runs.cell("plain", "good@never")]["blame"] is None
    assert f"  {LINE}" in found.failure(f"plain.py::{RED}").splitlines()
    # It is said while it goes on, after the last cell and before the matrix.
    said = " ".join(found.stdout.partition("compatibility matrix")[0].split())
    assert "modelconform: looking for the operators that 2 failures begin at, for 60 s each (Ctrl-C ends that)" in said
    assert f"modelconform: plain.py::{RED}: {LINE} (0 s)" in said
    assert [line[:16] for line in path.read_text().splitlines()][-3:] == ['{"kind": "blame"'] * 2 + ['{"kind": "footer']
    assert sum(outcome.blame is not None for _, outcome in log.read(path).cells) == 2
    assert left_behind(temporary) == []


@pytest.mark.parametrize(
    ("settings", "option", "is_off"),
    [
        ({}, {}, False),
        ({"blame": 0.0}, {}, True),
        ({"inline": True, "blame_asked": True}, {}, True),
        ({"blame_asked": True}, {"collectonly": True}, True),
        ({"blame_asked": True}, {"usepdb": True}, True),
        # Who asks for the first failure wants it at once.
        ({}, {"maxfail": 1}, True),
        ({"blame_asked": True}, {"maxfail": 1}, False),
    ],
)
def test_where_nothing_is_looked_for(settings: dict[str, Any], option: dict[str, Any], is_off: bool) -> None:
    options = types.SimpleNamespace(**{"maxfail": 0, "collectonly": False, "usepdb": False, **option})
    config = types.SimpleNamespace(option=options, getoption=lambda name, default: getattr(options, name, default))
    given = types.SimpleNamespace(**{"blame": 60.0, "blame_asked": False, "inline": False, **settings})
    machinery = types.SimpleNamespace(scratch=Path("nowhere"))
    run: Any = types.SimpleNamespace(settings=given, config=config, machinery=machinery)
    log: Any = None
    assert blaming.BlamePlugin(run, log).is_off is is_off


@pytest.mark.parametrize(
    ("asked", "others", "finished", "left"),
    [
        (True, False, 0.0, float("inf")),
        (False, True, 0.0, float("inf")),
        # The one that waits is the last that had cells to run.
        (False, False, 0.0, 200.0),
        (False, False, 970.0, 270.0),
        (False, False, 600.0, 200.0),
    ],
)
def test_the_time_in_all_begins_when_somebody_waits(
    monkeypatch: pytest.MonkeyPatch, asked: bool, others: bool, finished: float, left: float
) -> None:
    monkeypatch.setattr("pytest_modelconform.plugin.blaming.time.time", lambda: 1000.0)
    stands: Any = types.SimpleNamespace(
        run=types.SimpleNamespace(settings=types.SimpleNamespace(blame_asked=asked)),
        waiting=types.SimpleNamespace(others_run=lambda: others, finished=finished),
    )
    assert blaming.BlamePlugin._left(stands, 900.0) == left


def fails() -> Blame:
    raise ValueError("odd")


def interrupts() -> Blame:
    raise KeyboardInterrupt


def test_a_search_that_fails_is_a_note(project: Path, pytester: pytest.Pytester, search: Search) -> None:
    search.does = fails
    found = runs.run_here(pytester, project, "plain.py", "--modelconform-blame=9", runtimes=WRONG)
    said = found.failure(f"plain.py::{RED}")
    assert "guilty operator not found: the search failed: ValueError: odd (" in said
    assert "INTERNALERROR" not in found.stdout


def test_what_can_not_be_read_is_a_line_and_the_results_are_there(
    project: Path, pytester: pytest.Pytester, search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(self: object) -> object:
        raise ValueError("no JSON")

    monkeypatch.setattr(Waiting, "found", found)
    done = runs.run_here(pytester, project, "plain.py", "--modelconform-blame=9", runtimes=WRONG)
    assert (done.status, len(done.cells)) == (1, 3)
    assert "modelconform: the guilty operators could not be read: ValueError: no JSON (" in done.stdout
    assert "INTERNALERROR" not in done.stdout


def test_ctrl_c_ends_the_search_and_not_the_run(project: Path, pytester: pytest.Pytester, search: Search) -> None:
    search.does = interrupts
    found = runs.run_here(pytester, project, "--modelconform-blame=9", runtimes=WRONG)
    assert (found.status, len(search.asked)) == (1, 1)
    assert "modelconform: the search for guilty operators was ended" in found.stdout
    assert len(found.cells) == 6
    [said] = [line for line in found.stdout.splitlines() if "not looked for" in line]
    assert said.startswith("The guilty operators of 1 other failure were not looked for")


def test_the_time_in_all_is_bounded_and_that_is_said(
    project: Path, pytester: pytest.Pytester, search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blame_option, "UNASKED", 60.0)
    monkeypatch.setattr(blaming, "IN_ALL", 0.5)
    found = runs.run_here(pytester, project, runtimes=WRONG)
    assert "looking for the operators that 2 failures begin at, for 60 s each and 0 s in all" in " ".join(
        found.stdout.split()
    )
    assert search.asked == []
    [said] = [line for line in found.stdout.splitlines() if "not looked for" in line]
    assert said == (
        "The guilty operators of 2 other failures were not looked for: --modelconform-blame does, and so does "
        f"modelconform blame 'plain.py::{RED}'."
    )


# -- several processes -------------------------------------------------------------------------------------------------


class Session:
    """A run in two processes; `PLUGIN` stands for the search."""

    def __init__(self, project: Path, folder: Path, sleep: float) -> None:
        (folder / "simulated.py").write_text(PLUGIN)
        self.searched = folder / "searched"
        self.searched.mkdir()
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.report = folder / "report.json"
        options = ["-n", "2", "-p", "simulated", "--modelconform-blame=7", f"--modelconform-json={self.report}"]
        path = os.pathsep.join([str(folder), str(Path(__file__).parents[2])])
        env = {"SEARCHED": str(self.searched), "SLEEP": str(sleep), "PYTHONPATH": path, "COLUMNS": "200"}
        env["TMPDIR"] = str(self.temporary)
        self.process = subprocess.Popen(
            runs.command(*options, f"--modelconform-runtimes={WRONG}", "--modelconform-formats=torchscript-trace"),
            cwd=project,
            env={**os.environ, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,
        )

    @property
    def pids(self) -> dict[str, int]:
        """Who has searched, by case."""
        found = (path.name.rpartition("-") for path in self.searched.iterdir())
        return {case: int(pid) for case, _, pid in found}


@pytest.fixture
def sessions() -> Iterator[list[Session]]:
    started: list[Session] = []
    yield started
    for session in started:
        if session.process.poll() is None:
            os.killpg(session.process.pid, signal.SIGKILL)
        session.process.wait(10)
        if session.process.stdout is not None:
            session.process.stdout.close()


def test_two_processes_share_them(project: Path, tmp_path: Path, sessions: list[Session]) -> None:
    sessions.append(session := Session(project, tmp_path, 2.0))
    printed = session.process.communicate(timeout=120)[0]
    assert session.process.returncode == 1, printed
    assert set(session.pids) == {"plain", "second"}, printed
    assert session.process.pid not in session.pids.values()
    assert printed.count(f"  {LINE}") == 2, printed
    # How many there still are once all cells have run depends on who was faster.
    assert re.search(
        r"looking for the operators? that \d failures? begins? at, for 7 s each", " ".join(printed.split())
    )
    assert left_behind(session.temporary) == []


def test_ctrl_c_ends_the_search_of_several_processes(project: Path, tmp_path: Path, sessions: list[Session]) -> None:
    sessions.append(session := Session(project, tmp_path, 90.0))
    process = session.process
    runs.wait_until(lambda: len(session.pids) == 2 or process.poll() is not None, 120, "nobody searches")
    pids = session.pids.values()
    os.killpg(process.pid, signal.SIGINT)
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == pytest.ExitCode.TESTS_FAILED, printed
    assert "the search for guilty operators was ended" in " ".join(printed.split())
    assert "compatibility matrix" in printed
    assert LINE not in printed
    runs.wait_until(lambda: not any(map(runs.is_alive, pids)), 20, f"processes are left: {pids}")
    assert left_behind(session.temporary) == []


# -- the option --------------------------------------------------------------------------------------------------------


class Config:
    def __init__(self, option: str | None, ini: str) -> None:
        self.getoption = lambda name: option
        self.getini = lambda name: ini


@pytest.mark.parametrize(
    ("option", "ini", "seconds"),
    [
        (None, "", (60.0, False)),
        (None, "off", (0.0, False)),
        ("off", "30", (0.0, False)),
        (None, "30", (30.0, True)),
        ("on", "off", (60.0, True)),
        ("2.5", "", (2.5, True)),
    ],
)
def test_the_option(monkeypatch: pytest.MonkeyPatch, option: str | None, ini: str, seconds: tuple[float, bool]) -> None:
    monkeypatch.setattr(blame_option, "UNASKED", 60.0)
    assert blame_option.seconds(Config(option, ini)) == seconds  # type: ignore[arg-type]


@pytest.mark.parametrize("given", ["cases/", "-1", "nan", "inf", "1 min", "On"])
def test_what_is_no_time(given: str) -> None:
    with pytest.raises(pytest.UsageError, match=r"--modelconform-blame: invalid time '.*': expected seconds"):
        blame_option.seconds(Config(given, ""))  # type: ignore[arg-type]
