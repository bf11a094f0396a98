"""What is made once: by one of many, whole or not at all, and not tried again after it failed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pytest_modelconform.cache import made_once as module
from pytest_modelconform.cache.made_once import LINES_SHOWN, BuildError, join_session, log_of, made_once, run, run_all
from pytest_modelconform.terms.core_seconds import SPENT
from tests.support import runs


class PipFault(BuildError):
    """A kind of its own, as environments have."""


def silent(line: str) -> None:
    raise AssertionError(line)


def test_it_is_made_once_and_then_found(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "content").touch()

    target = tmp_path / "new" / "thing"
    for _ in range(2):
        assert made_once(target, make, silent, "waiting") == target
    assert len(made) == 1
    assert made[0] != target
    assert [path.name for path in target.iterdir()] == ["content"]
    assert not made[0].exists()


def test_the_second_one_waits_and_says_so(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()
    said: list[str] = []

    def make(folder: Path) -> None:
        begun.set()
        assert go_on.wait(30)

    def wait(line: str) -> None:
        said.append(line)
        go_on.set()

    first = threading.Thread(target=lambda: made_once(tmp_path / "thing", make, silent, "waiting"))
    first.start()
    assert begun.wait(30)
    made_once(tmp_path / "thing", lambda folder: silent("made twice"), wait, "waiting for another that makes it")
    first.join()
    assert said == ["waiting for another that makes it …"]


def test_what_failed_leaves_nothing_and_is_not_tried_again(tmp_path: Path) -> None:
    tries: list[Path] = []

    def fail(folder: Path) -> None:
        tries.append(folder)
        (folder / "half").touch()
        raise PipFault("no such package")

    for _ in range(2):
        with pytest.raises(PipFault, match=r"^no such package$"):
            made_once(tmp_path / "thing", fail, silent, "waiting")
    assert len(tries) == 1
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


_FAILS = """
import pathlib, sys
from pytest_modelconform.cache.made_once import BuildError, join_session, made_once
def fail(folder):
    raise BuildError("no compiler likes it")
join_session("one")
try:
    made_once(pathlib.Path(sys.argv[1]), fail, print, "waiting")
except BuildError:
    sys.exit(3)
"""


@pytest.mark.parametrize("session", ["one", "another", ""])
def test_what_failed_in_another_process_of_the_session_is_not_tried_again(session: str, tmp_path: Path) -> None:
    target = tmp_path / "thing"
    assert subprocess.run([sys.executable, "-c", _FAILS, str(target)], check=False).returncode == 3
    join_session(session)
    try:
        if session == "one":
            with pytest.raises(PipFault, match=r"^no compiler likes it$"):
                made_once(target, lambda folder: silent("tried again"), silent, "waiting", fault=PipFault)
        else:
            made_once(target, lambda folder: None, silent, "waiting")
            assert not target.with_name("thing.failed").exists()
    finally:
        join_session("")


def test_an_error_of_another_kind_may_be_tried_again(tmp_path: Path) -> None:
    def interrupted(folder: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made_once(tmp_path / "thing", interrupted, silent, "waiting")
    assert made_once(tmp_path / "thing", lambda folder: None, silent, "waiting").is_dir()


@pytest.mark.parametrize("in_place", [True, False])
def test_what_a_killed_process_left_is_made_anew(in_place: bool, tmp_path: Path) -> None:
    target = tmp_path / "thing"
    for folder in (target, tmp_path / "thing.building"):
        folder.mkdir()
        (folder / "half").touch()

    def make(folder: Path) -> None:
        assert (folder == target) == in_place
        assert (folder / "half").exists() == in_place
        (folder / "whole").touch()

    made_once(target, make, silent, "waiting", lambda folder: (folder / "whole").exists(), in_place)
    assert (target / "whole").exists()


def test_the_first_command_that_fails_ends_it_with_the_end_of_its_log(tmp_path: Path) -> None:
    log = log_of(tmp_path / "thing")
    python = [sys.executable, "-c"]
    steps = [
        ("speaking", [*python, "print('fine')"]),
        ("failing", [*python, "for i in range(100): print(i)\nexit(3)"]),
        ("never", [*python, "print('never')"]),
    ]
    with pytest.raises(PipFault) as caught:
        run_all(steps, os.environ, log, "it can't be made", tmp_path, PipFault)
    lines = str(caught.value).splitlines()
    assert lines[0] == "it can't be made: failing ended with status 3"
    assert lines[1].startswith(f"(the last {LINES_SHOWN} of ")
    assert lines[-2:] == ["99", f"full log: {log}"]
    assert len(lines) == LINES_SHOWN + 3
    text = log.read_text()
    assert text.startswith("$ ")
    assert "fine" in text
    assert "never" not in text


def test_what_commands_and_their_children_spend_is_counted(tmp_path: Path) -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    child = f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', {burn!r}]).returncode + 3)"
    before = SPENT.by_kind().get("trial", 0.0)
    steps = [("child", [sys.executable, "-c", child])]
    with pytest.raises(BuildError, match="ended with status 3"):
        run_all(steps, os.environ, tmp_path / "log", "making failed", kind="trial")
    assert 0.3 <= SPENT.by_kind()["trial"] - before < 3


def test_a_command_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log, pytest.raises(subprocess.TimeoutExpired):
        run([sys.executable, "-c", "import time; time.sleep(60)"], os.environ, log.fileno(), timeout=0.2)


_SLEEPS_AT_LOWEST = """
import os, sys, time
is_first = not os.path.exists(sys.argv[1])
while is_first and os.nice(0) != 19:  # until whoever has started this has lowered it
    time.sleep(0.01)
with open(sys.argv[1], "a") as file:
    print(os.nice(0), file=file)
if is_first:
    time.sleep(600)
"""


def test_what_is_made_ahead_is_made_at_usual_priority_once_somebody_has_waited_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where other programs leave the lowest priority nothing, a cell would wait for ever."""
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    target, seen = tmp_path / "thing", tmp_path / "seen"
    usual = os.nice(0)

    def make(folder: Path) -> None:
        assert run([sys.executable, "-c", _SLEEPS_AT_LOWEST, str(seen)], os.environ, 2) == 0

    first = threading.Thread(target=lambda: made_once(target, make, silent, "waiting"))
    join_session("", ahead=True)
    try:
        first.start()
        deadline = time.monotonic() + 60
        while not seen.exists() or not seen.read_text():
            assert time.monotonic() < deadline, "nothing was begun"
            time.sleep(0.05)
        made_once(target, lambda folder: silent("made twice"), lambda line: None, "waiting")
    finally:
        join_session("")
        first.join(60)
    assert list(map(int, seen.read_text().split())) == [19, usual]
    assert not list(tmp_path.glob("*.wanted"))


_IN_A_GROUP_OF_ITS_OWN = """
import os, pathlib, signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
signal.signal(signal.SIGTERM, lambda *_: (child.kill(), child.wait(), sys.exit(1)))
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
time.sleep(600)
"""


def test_a_command_that_is_ended_may_end_what_it_has_started(tmp_path: Path) -> None:
    """As ninja does, whose compilers are in groups of their own."""
    with pytest.raises(subprocess.TimeoutExpired):
        run([sys.executable, "-c", _IN_A_GROUP_OF_ITS_OWN, str(tmp_path / "pid")], os.environ, 2, timeout=8.0)
    assert not runs.is_alive(int((tmp_path / "pid").read_text()))
