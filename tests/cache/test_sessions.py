"""Which processes use a cache folder."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_modelconform.cache import sessions

# Enters the session of a folder, says so, and lives until its stdin ends.
ENTER = """
import sys, pathlib
from pytest_modelconform.cache import sessions
sessions.enter(pathlib.Path(sys.argv[1]))
print("entered", flush=True)
sys.stdin.read()
"""


def other(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", ENTER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    )


def test_a_process_counts_from_when_it_enters_until_its_death(tmp_path: Path) -> None:
    before = time.time()
    with sessions.closed(tmp_path) as began:
        assert began is None
    with other(tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with sessions.closed(tmp_path) as began:
            assert began is not None
            assert before - 1 < began < time.time() + 1
        process.kill()
        process.wait()
    with sessions.closed(tmp_path) as began:
        assert began is None
    # Nor is anything left of it.
    assert list((tmp_path / "sessions").iterdir()) == []


def test_one_that_begins_waits_for_who_prunes(tmp_path: Path) -> None:
    with sessions.closed(tmp_path):
        process = other(tmp_path)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        assert not list((tmp_path / "sessions").glob("*.lock"))
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "entered\n"
        process.kill()


def test_this_process_enters_once_and_does_not_count(tmp_path: Path) -> None:
    sessions.enter(tmp_path)
    sessions.enter(tmp_path)
    assert len(list((tmp_path / "sessions").iterdir())) == 1
    with sessions.closed(tmp_path) as began:
        assert began is None
    assert len(list((tmp_path / "sessions").iterdir())) == 1
    # Once it has left, it may enter again.
    sessions.leave(tmp_path)
    sessions.leave(tmp_path)
    sessions.enter(tmp_path)
    assert len(list((tmp_path / "sessions").iterdir())) == 2
