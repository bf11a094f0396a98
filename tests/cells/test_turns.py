"""Turns on a GPU, between processes that are real: they share it, one has it alone, and the dead hold nothing."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_modelconform.cells.turns import Turns
from pytest_modelconform.terms import gpus
from pytest_modelconform.terms.gpus import Gpu, Portion

PORTION = Portion(Gpu("GPU-1/a b"))
# A process that has a turn, shared or alone, until it is told to end it; it says what happens to it.
OTHER = """\
import sys
from pathlib import Path
from pytest_modelconform.cells.turns import Turns
from pytest_modelconform.terms.gpus import Gpu, Portion

def say(text):
    print(text, flush=True)

turns = Turns(Portion(Gpu("GPU-1/a b")), lambda: say("left"), say, Path(sys.argv[2]))

def turn():
    with turns.held():
        say("has it")
        sys.stdin.readline()

if sys.argv[1] == "alone":
    with turns.alone():
        turn()
else:
    turn()
say("end")
"""


class Process:
    """One of them. `said` waits for its next line."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", OTHER, kind, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        # One that never has its turn would say nothing for ever.
        self.timer = threading.Timer(60, self.popen.kill)
        self.timer.start()

    def said(self) -> str:
        assert self.popen.stdout is not None
        return self.popen.stdout.readline().strip()

    def end_turn(self) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write("\n")
        self.popen.stdin.flush()


Start = Callable[[str], Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Process] = []

    def begin(kind: str) -> Process:
        started.append(Process(kind, tmp_path))
        return started[-1]

    yield begin
    for process in started:
        process.timer.cancel()
        process.popen.kill()
        process.popen.communicate()


@pytest.fixture
def turns(tmp_path: Path) -> Turns:
    return Turns(PORTION, lambda: None, lambda line: None, tmp_path)


def test_many_share_it(start: Start) -> None:
    others = [start("shared") for _ in range(3)]
    assert [other.said() for other in others] == ["has it"] * 3


def test_one_has_it_alone_when_the_others_have_ended_their_turns(start: Start) -> None:
    first, second = start("shared"), start("shared")
    assert [first.said(), second.said()] == ["has it"] * 2
    alone = start("alone")
    assert [alone.said(), alone.said()] == ["left", "waiting to have the GPU alone …"]
    # Who comes later waits behind it, so that it has its turn some time.
    late = start("shared")
    assert late.said() == "waiting for the GPU, which another process has alone …"
    first.end_turn()
    # What keeps memory of the GPU goes before the turn ends.
    assert [first.said(), first.said()] == ["left", "end"]
    second.end_turn()
    assert alone.said() == "has it"
    alone.end_turn()
    assert [alone.said(), alone.said()] == ["left", "end"]
    assert late.said() == "has it"


def test_two_that_want_it_alone_have_it_one_after_the_other(start: Start) -> None:
    first = start("alone")
    assert [first.said(), first.said()] == ["left", "has it"]
    second = start("alone")
    assert [second.said(), second.said()] == ["left", "waiting to have the GPU alone …"]
    first.end_turn()
    assert second.said() == "has it"


@pytest.mark.parametrize("kind", ["alone", "shared"])
def test_one_that_is_killed_holds_nothing(start: Start, kind: str) -> None:
    dead = start(kind)
    while dead.said() != "has it":
        pass
    waiting = start("alone")
    assert [waiting.said(), waiting.said()] == ["left", "waiting to have the GPU alone …"]
    dead.popen.kill()
    assert waiting.said() == "has it"


def test_one_that_is_killed_while_it_waits_keeps_nobody_out(start: Start) -> None:
    sharing = start("shared")
    assert sharing.said() == "has it"
    waiting = start("alone")
    assert [waiting.said(), waiting.said()] == ["left", "waiting to have the GPU alone …"]
    waiting.popen.kill()
    waiting.popen.wait()
    assert start("shared").said() == "has it"


def test_idle_processes_give_way(tmp_path: Path, start: Start) -> None:
    left: list[str] = []
    turns = Turns(PORTION, lambda: left.append("left"), lambda line: None, tmp_path)
    turns.give_way()
    assert left == []
    alone = start("alone")
    assert [alone.said(), alone.said()] == ["left", "has it"]
    turns.give_way()
    assert left == ["left"]


def test_a_turn_within_a_turn_is_the_same_one(turns: Turns) -> None:
    with turns.alone(), turns.held(), turns.held():
        assert turns.is_alone
    assert not turns.is_alone


def test_a_turn_that_ends_in_an_exception_has_ended(turns: Turns, start: Start) -> None:
    with pytest.raises(ValueError, match="so"), turns.held():
        raise ValueError("so")
    alone = start("alone")
    assert [alone.said(), alone.said()] == ["left", "has it"]


def test_without_a_gpu_nobody_waits(tmp_path: Path) -> None:
    turns = Turns(None, lambda: None, print, tmp_path / "none")
    with turns.alone(), turns.held():
        turns.give_way()
    assert not (tmp_path / "none").exists()


def test_where_nothing_can_be_written_cells_run_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    left: list[str] = []
    turns = Turns(PORTION, lambda: left.append("left"), print, tmp_path / "file")
    with turns.alone(), turns.held():
        assert turns.is_alone
    turns.give_way()
    # Before and after it was alone; and nobody can be seen to wait.
    assert left == ["left", "left"]


def test_what_others_have_of_it_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    portion = Portion(Gpu("GPU-1", "NVIDIA X 9.0", 80 * 2**30))
    turns = Turns(portion, lambda: None, print, tmp_path)
    used = [0]
    monkeypatch.setattr(gpus, "in_use", lambda gpu: used[0])
    assert turns.all_of_it == "NVIDIA X 9.0 and all of its 80.0 GiB"
    used[0] = 12 * 2**30
    assert turns.all_of_it == "NVIDIA X 9.0 and all of its 80.0 GiB, of which other processes have 12.0 GiB"
    assert Turns(None, lambda: None, print, tmp_path).all_of_it == "the GPU"


def test_another_users_folder_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: tmp_path.stat().st_uid + 1)
    with Turns(PORTION, lambda: None, print, tmp_path).held():
        assert list(tmp_path.iterdir()) == []


def test_its_files_are_the_users_own(tmp_path: Path, turns: Turns) -> None:
    with turns.held():
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["GPU-1_a_b.door", "GPU-1_a_b.use"]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
