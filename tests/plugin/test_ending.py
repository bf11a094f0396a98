"""Ctrl-C, and what is worse: no process is left, and the matrix of what was done is there."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_modelconform.report import log
from tests.support import fakes, runs

# The last is wrong by its structure: no cause of that is looked for, which would take a case host.
RUNTIMES = "fake-good-never,fake-endless-run,fake-structure-run"
# The case leaves the id of the case host.
NOTE = "import os, pathlib\npathlib.Path(os.environ['FAKE_PIDS'], f'host-{os.getpid()}').touch()\n"
GOOD, ENDLESS, WRONG = "good@never", "endless@run", "structure@run"


class Session:
    """A pytest process, in a process group of its own as below a shell, that hangs in `fake-endless-run`."""

    def __init__(self, folder: Path, own: Path, processes: int, *arguments: str, terminal: int | None = None) -> None:
        self.pids = own / "pids"
        self.pids.mkdir()
        self.report = own / "report.json"
        options = [f"--modelconform-json={self.report}", f"--modelconform-runtimes={RUNTIMES}", "-n", str(processes)]
        # Short, as it is on a user's machine.
        self.temporary = Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))
        self.process = subprocess.Popen(
            runs.command(*options, "--modelconform-formats=torchscript-trace", *arguments),
            cwd=folder,
            env={**os.environ, "FAKE_PIDS": str(self.pids), "TMPDIR": str(self.temporary)},
            stdin=terminal,
            stdout=subprocess.PIPE if terminal is None else terminal,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,
            preexec_fn=None if terminal is None else _take_terminal,
        )

    def noted(self, word: str = "*") -> list[int]:
        return [int(path.name.partition("-")[2]) for path in self.pids.glob(f"{word}-*")]

    def wait_for_sleepers(self, count: int) -> None:
        runs.wait_until(
            lambda: len(self.noted("sleeping")) >= count or self.process.poll() is not None, 120, "no fake hangs"
        )
        assert self.process.poll() is None, self.process.communicate()[0]

    def interrupt(self) -> None:
        """Ctrl-C, which the terminal sends to the whole group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> str:
        """Wait for the end. Returns what pytest printed."""
        return self.process.communicate(timeout=60)[0]

    def cells(self) -> dict[str, dict[str, Any]]:
        return {cell["id"].rpartition("::")[2]: cell for cell in json.loads(self.report.read_text())["cells"]}

    def assert_nothing_is_left(self) -> None:
        assert len(self.noted("worker")) >= 2
        runs.wait_until(lambda: not any(map(runs.is_alive, self.noted())), 20, f"processes are left: {self.noted()}")

        def left() -> list[str]:
            return [path.name for path in self.temporary.iterdir() if not path.name.startswith("pytest-of-")]

        runs.wait_until(lambda: not left(), 20, f"temporary folders are left: {left()}")


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def sessions(tmp_path: Path) -> Iterator[list[Session]]:
    started: list[Session] = []
    yield started
    for session in started:
        if session.process.poll() is None:
            os.killpg(session.process.pid, signal.SIGKILL)
        if session.process.stdout is not None:
            session.process.stdout.close()
        session.process.wait(10)
        shutil.rmtree(session.temporary)


@pytest.mark.parametrize("processes", [0, 2])
def test_ctrl_c_leaves_the_matrix_and_no_process(tmp_path: Path, sessions: list[Session], processes: int) -> None:
    files = {f"{name}.py": NOTE + runs.PLAIN for name in ("plain", "second")}
    session = Session(runs.write(tmp_path, files), tmp_path, processes)
    sessions.append(session)
    session.wait_for_sleepers(max(processes, 1))
    assert session.noted("host")
    session.interrupt()
    printed = session.end()
    assert session.process.returncode == pytest.ExitCode.INTERRUPTED, printed
    session.assert_nothing_is_left()
    assert "compatibility matrix" in printed
    assert "KeyboardInterrupt" in printed
    cells = session.cells()
    assert len(cells) == 8
    assert cells[runs.cell("plain", GOOD)]["verdict"] == "pass"
    for case in ("plain", "second"):
        for fake in (ENDLESS, WRONG):
            assert cells[runs.cell(case, fake)]["verdict"] == "not-run"
            assert cells[runs.cell(case, fake)]["message"] == "not run: the session ended before"
    assert cells[runs.cell("second", GOOD)]["verdict"] == ("pass" if processes else "not-run")


@pytest.mark.parametrize(("number", "processes"), [(signal.SIGTERM, 0), (signal.SIGTERM, 1), (signal.SIGHUP, 1)])
def test_who_is_told_to_end_does_as_at_ctrl_c(
    project: Path, tmp_path: Path, sessions: list[Session], number: signal.Signals, processes: int
) -> None:
    session = Session(project, tmp_path, processes, "-k", "plain")
    sessions.append(session)
    session.wait_for_sleepers(1)
    session.process.send_signal(number)
    printed = session.end()
    assert session.process.returncode == pytest.ExitCode.INTERRUPTED, printed
    session.assert_nothing_is_left()
    assert f"modelconform: ended by {number.name}" in printed.partition("compatibility matrix")[2]
    verdicts = {name: cell["verdict"] for name, cell in session.cells().items()}
    assert len(verdicts) == 4
    assert verdicts[runs.cell("plain", ENDLESS)] == "not-run"


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_who_is_told_to_end_while_it_ends_loses_nothing(
    project: Path, tmp_path: Path, sessions: list[Session], monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    # As while xdist ends its processes, before the log has its last line.
    (tmp_path / "told.py").write_text(
        "import os, pytest, signal\n\n\n@pytest.hookimpl(tryfirst=True)\ndef pytest_sessionfinish():\n"
        f"    os.kill(os.getpid(), signal.{number})\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{fakes.REPOSITORY}")
    monkeypatch.setattr(sys.modules[__name__], "RUNTIMES", "fake-good-never,fake-structure-run")
    options = ("-p", "told", f"--modelconform-log={tmp_path / 'run.jsonl'}", runs.NO_BLAME)
    session = Session(project, tmp_path, 0, "plain.py", *options)
    sessions.append(session)
    printed = session.end()
    assert session.process.returncode == pytest.ExitCode.TESTS_FAILED, printed
    session.assert_nothing_is_left()
    assert "ended by" not in printed
    assert log.read(tmp_path / "run.jsonl").complete
    assert session.cells()[runs.cell("plain", WRONG)]["verdict"] == "mismatch"


def test_what_a_shell_has_in_its_background_ends_as_well(
    project: Path, tmp_path: Path, sessions: list[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where Ctrl-C is ignored, what xdist's processes start of themselves at a controller's end is nothing.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        session = Session(project, tmp_path, 1)
    finally:
        signal.signal(signal.SIGINT, handler)
    sessions.append(session)
    session.wait_for_sleepers(1)
    begin = time.monotonic()
    session.process.kill()
    session.process.wait(10)
    session.assert_nothing_is_left()
    # execnet takes 15 s, and then cleans nothing up.
    assert time.monotonic() - begin < 15


def test_a_terminal_that_is_closed_costs_no_result(project: Path, tmp_path: Path, sessions: list[Session]) -> None:
    ours, theirs = pty.openpty()
    session = Session(project, tmp_path, 0, "-k", "plain", terminal=theirs)
    os.close(theirs)
    sessions.append(session)
    session.wait_for_sleepers(1)
    os.close(ours)  # SIGHUP; and from here on nothing can be printed
    session.process.wait(60)
    session.assert_nothing_is_left()
    assert session.cells()[runs.cell("plain", GOOD)]["verdict"] == "pass"


def test_nohup_is_heeded_and_so_is_what_others_do_at_a_signal(
    project: Path, tmp_path: Path, sessions: list[Session]
) -> None:
    handler = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        session = Session(project, tmp_path, 0, "-k", "plain")
    finally:
        signal.signal(signal.SIGHUP, handler)
    sessions.append(session)
    session.wait_for_sleepers(1)
    session.process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        session.process.wait(2)
    session.process.terminate()
    assert "ended by SIGTERM" in session.end()


@pytest.mark.parametrize("processes", [0, 2])
def test_a_killed_pytest_leaves_no_process(
    project: Path, tmp_path: Path, sessions: list[Session], processes: int
) -> None:
    session = Session(project, tmp_path, processes)
    sessions.append(session)
    session.wait_for_sleepers(max(processes, 1))
    session.process.kill()
    session.process.wait(10)
    session.assert_nothing_is_left()


def test_the_cell_of_a_killed_xdist_worker_has_a_record(project: Path, tmp_path: Path, sessions: list[Session]) -> None:
    session = Session(project, tmp_path, 2, "-k", "not (second and endless)")
    sessions.append(session)
    session.wait_for_sleepers(1)
    [asleep] = session.noted("sleeping")
    os.kill(int((session.pids / f"sleeping-{asleep}").read_text()), signal.SIGKILL)
    printed = session.end()
    session.assert_nothing_is_left()
    cells = session.cells()
    assert len(cells) == 7, printed
    lost = cells[runs.cell("plain", ENDLESS)]
    assert (lost["verdict"], lost["message"]) == ("not-run", "lost: the pytest process that ran it died")
    for case in ("plain", "second"):
        assert cells[f"{case}[eager]"]["verdict"] == "pass"
        assert cells[runs.cell(case, GOOD)]["verdict"] == "pass"
        assert cells[runs.cell(case, WRONG)]["verdict"] == "mismatch"
    assert session.process.returncode == 1


# As the kernel kills for memory: once, whoever is first.
KILLED_ONCE = """\
import os, pathlib, signal

try:
    pathlib.Path(os.environ["FAKE_PIDS"], "killed").touch(exist_ok=False)
    os.kill(os.getpid(), signal.SIGKILL)
except FileExistsError:
    pass
"""


def test_a_case_host_that_is_killed_while_files_are_collected_costs_no_cell(tmp_path: Path) -> None:
    # Else xdist's processes have collected different cells, and none is run.
    folder = runs.write(tmp_path, {"plain.py": KILLED_ONCE + runs.PLAIN, "second.py": runs.PLAIN.replace("5.0", "6.0")})
    pids = tmp_path / "pids"
    pids.mkdir()
    found = runs.run(folder, "-n", "2", env={"FAKE_PIDS": str(pids), "MODELCONFORM_CACHE": str(tmp_path / "cache")})
    assert (pids / "killed").exists()
    assert found.status == 0, found.stdout
    assert {cell["verdict"] for cell in found.cells.values()} == {"pass"}
    assert len(found.cells) == 4
