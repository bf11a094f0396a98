"""What a process has started ends with it, and its children with that."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_modelconform.cache import keeper
from tests.support import runs

# An owner that starts a child, which starts one of its own in another session, and is then what the arguments say.
OWNER = """\
import os, signal, subprocess, sys, time
from pathlib import Path
from pytest_modelconform.cache import temporary
from pytest_modelconform.cache.keeper import KEEPER
folder = Path(sys.argv[1])
KEEPER.folder = str(temporary.enter(folder))
variables = KEEPER.variables()
# What the terminal, or who ends a job, sends to all is not for the keeper, whose Python has only begun.
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    os.kill(KEEPER._process.pid, number)
child = "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], "
child += "start_new_session=True); print(p.pid, flush=True); time.sleep(600)"
started = subprocess.Popen(
    [sys.executable, "-c", child], env={**os.environ, **variables}, stdout=subprocess.PIPE, text=True
)
print(started.pid, started.stdout.readline().strip(), KEEPER._process.pid, flush=True)
sys.stdin.readline()
if sys.argv[2] == "again":
    KEEPER._process.wait()
    KEEPER.variables()
    print(KEEPER._process.pid, flush=True)
sys.stdin.readline()
"""

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="no /proc here")


class Owner:
    def __init__(self, folder: Path, how: str) -> None:
        words = [sys.executable, "-c", OWNER, str(folder), how]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.child, self.grandchild, self.keeper = map(int, self.line().split())

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def say(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def owners() -> Iterator[list[Owner]]:
    found: list[Owner] = []
    yield found
    for owner in found:
        owner.close()


def gone(*pids: int) -> None:
    runs.wait_until(lambda: not any(map(runs.is_alive, pids)), 30, f"{pids} live on")


def test_children_of_children_end_with_a_killed_owner(tmp_path: Path, owners: list[Owner]) -> None:
    folder = tmp_path / "modelconform-x"
    owner = Owner(folder, "once")
    owners.append(owner)
    # Nor later.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(owner.keeper, number)
    owner.process.kill()
    gone(owner.child, owner.grandchild, owner.keeper)
    assert not folder.exists()


def test_a_keeper_that_was_killed_is_replaced(tmp_path: Path, owners: list[Owner]) -> None:
    owner = Owner(tmp_path / "modelconform-x", "again")
    owners.append(owner)
    os.kill(owner.keeper, signal.SIGKILL)
    owner.say()
    second = int(owner.line())
    assert second != owner.keeper
    owner.process.kill()
    gone(owner.child, owner.grandchild, second)


def test_it_ends_no_others(tmp_path: Path, owners: list[Owner]) -> None:
    one, two = Owner(tmp_path / "modelconform-x", "once"), Owner(tmp_path / "modelconform-y", "once")
    owners += [one, two]
    one.process.kill()
    gone(one.child, one.grandchild, one.keeper)
    assert runs.is_alive(two.child)
    assert runs.is_alive(two.grandchild)
    assert (tmp_path / "modelconform-y").is_dir()


def test_without_a_keeper_things_start_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*words: object, **options: object) -> None:
        raise OSError("no more processes")

    made = keeper.Keeper()
    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert list(made.variables()) == [keeper.VARIABLE]
    assert made.variables() == made.variables()
