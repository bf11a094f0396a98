"""Temporary folders go with the processes that use them, however these end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_modelconform.cache import temporary
from tests.support import runs

# A process that enters a folder, says so, and waits.
OTHER = """\
import sys, time
from pathlib import Path
from pytest_modelconform.cache import temporary
temporary.enter(Path(sys.argv[1]))
(Path(sys.argv[1]) / f"of-{sys.argv[2]}").touch()
print("in", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    found = tmp_path / f"{temporary.PREFIX}abc"
    yield found
    temporary.leave(found)


def other(folder: Path, name: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", OTHER, str(folder), name]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    return process


def end(process: subprocess.Popen[str], kill: bool = False) -> None:
    if kill:
        process.kill()
    process.communicate(timeout=60)


def test_the_last_one_to_leave_removes_it(folder: Path) -> None:
    assert temporary.enter(folder) == temporary.enter(folder) == folder
    one, two = other(folder, "one"), other(folder, "two")
    end(one)
    temporary.leave(folder)
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith("of-")) == ["of-one", "of-two"]
    end(two)
    assert not folder.exists()
    assert not list(folder.parent.iterdir())


def test_what_a_killed_process_left_is_swept_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    dead, alive = tmp_path / f"{temporary.PREFIX}dead", tmp_path / f"{temporary.PREFIX}alive"
    killed, running = other(dead, "one"), other(alive, "two")
    end(killed, kill=True)
    # Names like ours that are none of ours, an older version's, and one that somebody is about to make.
    strangers = [f"{temporary.PREFIX}0123456789abcdef", "other", f".{temporary.PREFIX}1-x"]
    for name in strangers:
        (tmp_path / name).mkdir()
    old = tmp_path / f".{temporary.PREFIX}2-y"
    old.mkdir()
    os.utime(old, (time.time() - 7200,) * 2)
    (tmp_path / f"{temporary.PREFIX}link").symlink_to(alive)
    temporary.enter(folder)
    temporary.sweep([tmp_path, tmp_path / "nowhere"])
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == sorted([folder.name, alive.name, f"{temporary.PREFIX}link", *strangers])
    end(running)


def test_one_that_was_the_dead_ones_is_entered_again(folder: Path) -> None:
    end(other(folder, "one"), kill=True)
    assert folder.is_dir()
    temporary.enter(folder)
    temporary.leave(folder)
    assert not folder.exists()


def test_a_fork_does_not_leave_for_its_parent(folder: Path) -> None:
    temporary.enter(folder)
    child = os.fork()
    if child == 0:
        temporary.leave(folder)
        os._exit(0)
    os.waitpid(child, 0)
    temporary.sweep([folder.parent])
    assert folder.is_dir()


def test_others_are_told_of_it_where_their_names_fit(folder: Path, tmp_path: Path) -> None:
    assert temporary.for_others(folder) == {}  # nobody has it: nobody would remove it
    short = Path("/tmp") / f"{temporary.PREFIX}t{os.getpid()}"
    try:
        temporary.enter(short)
        assert temporary.for_others(short) == {"TMPDIR": str(short / "t")}
        assert (short / "t").is_dir()
    finally:
        temporary.leave(short)
    assert not short.exists()
    long = tmp_path / ("x" * 70)
    temporary.enter(long)
    assert temporary.for_others(long) == {}
    temporary.leave(long)


def test_where_none_can_be_made_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        temporary.enter(tmp_path / "nowhere" / "one")


def test_a_session_that_is_killed_leaves_a_folder_that_the_next_one_removes(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "t"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    # As a kill -9 of the process and of its keeper leaves it.
    dead = place / f"{temporary.PREFIX}dead"
    process = other(dead, "one")
    os.kill(process.pid, signal.SIGKILL)
    end(process)
    found = runs.run(project, "plain.py")
    assert found.status == 0, found.stdout
    # pytest has a folder of its own there.
    assert [path.name for path in place.iterdir() if "modelconform" in path.name] == []
