"""What is made beside a session: in order, once, and gone with whoever asked for it."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_modelconform.cache.made_once import BuildError, Progress, made_once, run
from pytest_modelconform.cells.ahead import Ahead, Event
from tests.support import runs


@dataclass(frozen=True)
class Fake:
    """A need: a folder that a command fills. code: what the command runs."""

    name: str
    code: str = "pass"
    how: str = "built"

    def is_there(self, cache: Path) -> bool:
        return (cache / self.name).is_dir()

    def make(self, cache: Path, progress: Progress) -> None:
        def make(folder: Path) -> None:
            progress(f"making {self.name} …")
            words = [sys.executable, "-c", self.code, str(folder), str(cache / "pid")]
            if run(words, os.environ, 2) != 0:
                raise BuildError(f"{self.name} does not compile")

        made_once(cache / self.name, make, progress, f"waiting for {self.name}")


# Leaves its id, and half of what it makes.
SLEEPS = """
import os, pathlib, sys, time
pathlib.Path(sys.argv[1], 'half').touch()
partial = pathlib.Path(sys.argv[2] + '.partial')
partial.write_text(f'{os.getpid()} {os.nice(0)}')
partial.rename(sys.argv[2])
time.sleep(600)
"""


def texts(events: queue.SimpleQueue[Event], ended: int) -> list[str]:
    """What is told until so many have ended, without seconds."""
    found = []
    while ended:
        event = events.get(timeout=60)
        found.append(event.text.partition(" (")[0])
        ended -= bool(event.ended)
    return found


def test_each_is_made_in_turn_and_told_of(tmp_path: Path) -> None:
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    ahead = Ahead([Fake("a"), Fake("b", "exit(1)"), Fake("c")], tmp_path, "session", events.put)
    assert texts(events, 3) == [
        "making a …",
        "a is built",
        "making b …",
        "b can't be built: its cells say why",
        "making c …",
        "c is built",
    ]
    ahead.close()
    assert (tmp_path / "a").is_dir()
    assert not (tmp_path / "b").exists()
    assert (tmp_path / "c").is_dir()


def test_what_waits_for_a_network_is_made_beside_what_takes_processors(tmp_path: Path) -> None:
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    ahead = Ahead([Fake("slow", SLEEPS), Fake("quick", how="installed")], tmp_path, "session", events.put)
    assert "quick is installed" in texts(events, 1)
    ahead.close()


def ended_by_close(cache: Path, wait: Callable[[], None]) -> None:
    ahead = Ahead([Fake("slow", SLEEPS), Fake("later")], cache, "session", lambda event: None)
    wait()
    ahead.close()


def ended_by_death(cache: Path, wait: Callable[[], None]) -> None:
    code = "import sys, pathlib, time; from tests.cells import test_ahead; test_ahead.hold(pathlib.Path(sys.argv[1]))"
    holder = subprocess.Popen([sys.executable, "-c", code, str(cache)])
    wait()
    holder.send_signal(signal.SIGKILL)
    holder.wait(10)


def hold(cache: Path) -> None:
    """Run in a process of its own."""
    Ahead([Fake("slow", SLEEPS), Fake("later")], cache, "session", lambda event: None)
    signal.pause()


@pytest.mark.parametrize("end", [ended_by_close, ended_by_death])
def test_it_ends_with_whoever_asked_and_leaves_nothing(
    end: Callable[[Path, Callable[[], None]], None], tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    end(tmp_path, lambda: runs.wait_until(pid.exists, 60, "nothing was begun"))
    command, niceness = map(int, pid.read_text().split())
    assert niceness == 19
    runs.wait_until(lambda: not runs.is_alive(command), 20, "the command goes on")
    runs.wait_until(lambda: not [path for path in tmp_path.iterdir() if path.is_dir()], 20, "something is left")
