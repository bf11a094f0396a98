"""Memory is given to those who wait in their order, and to the dead no more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_modelconform.cache import reservations as module
from pytest_modelconform.cache.reservations import Reservations
from pytest_modelconform.terms import resident
from pytest_modelconform.terms.capacity import Memory
from tests.support import runs

Make = Callable[..., Reservations]
FREE = 10


@pytest.fixture(autouse=True)
def nobody_has_taken_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resident, "of_kin", lambda pids: dict.fromkeys(pids, 0))
    monkeypatch.setattr(module, "_AGAIN", 0.01)
    monkeypatch.setattr(module, "_LONG", 0.0)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made = []

    def one(**given: object) -> Reservations:
        given = {"look": lambda: Memory(16, FREE), **given}
        made.append(Reservations(tmp_path / "memory", **given))  # type: ignore[arg-type]
        return made[-1]

    yield one
    for each in made:
        each.close()


def never(seconds: float) -> None:
    pytest.fail("it waits")


class Waiting:
    """Somebody who takes so much, in a thread; is_there: whether it has it."""

    def __init__(self, one: Reservations, size: int) -> None:
        self.one = one
        self.is_there = False
        self._began = threading.Event()
        self._thread = threading.Thread(target=self._take, args=[size], daemon=True)
        self._thread.start()
        assert self._began.wait(20)

    def _take(self, size: int) -> None:
        self.waited = self.one.take(size, say=self._began.set)
        self.is_there = True
        self._began.set()

    def has_it(self) -> None:
        self._thread.join(20)
        assert self.is_there


def test_what_fits_beside_others_begins_at_once(make: Make) -> None:
    one, two, three = make(), make(), make()
    assert one.take(4) == two.take(6) == 0.0  # not even a moment
    waiting = Waiting(three, 1)
    assert not waiting.is_there
    two.free()
    waiting.has_it()
    assert waiting.waited > 0


def test_who_waits_longest_comes_first(make: Make) -> None:
    """Else many small ones would keep a large one waiting for ever."""
    holder, large, small = make(), make(), make()
    holder.take(6)
    first = Waiting(large, 8)
    second = Waiting(small, 2)
    assert not first.is_there
    assert not second.is_there
    holder.free()
    first.has_it()
    second.has_it()
    assert not Waiting(holder, 1).is_there
    large.free()
    small.free()


def test_what_fits_nowhere_runs_alone_at_the_end(make: Make) -> None:
    holder, large = make(), make()
    holder.take(1)
    waiting = Waiting(large, 99)
    assert not waiting.is_there
    holder.free()
    waiting.has_it()


def test_two_that_want_all_take_turns(make: Make) -> None:
    one, two = make(), make()
    first = Waiting(one, 99)
    first.has_it()
    second = Waiting(two, 99)
    assert not second.is_there
    one.free()
    second.has_it()


def test_what_others_have_taken_already_is_counted_once(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 16, 6 were in use by others; one has taken 4 of its 5 since, so that 10 - 4 + 4 are there for both."""
    one, two = make(look=lambda: Memory(16, 6)), make(look=lambda: Memory(16, 6))
    one.take(5)
    monkeypatch.setattr(resident, "of_kin", lambda pids: dict.fromkeys(pids, 4))
    two.take(5, sleep=never)
    two.free()
    assert not Waiting(two, 6).is_there
    one.free()


def test_own_workers_make_room(make: Make) -> None:
    one, two = make(), make()
    one.take(6)
    assert two.take(4, own=lambda: 3) == 0.0
    assert not two.leans_on_own
    two.take(7, own=lambda: 3, sleep=never)
    assert two.leans_on_own


def test_a_limit_holds_for_all_that_is_reserved(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = make(limit=8), make(limit=8)
    assert one.memory() == Memory(8, 8)
    one.take(5)
    monkeypatch.setattr(resident, "of_kin", lambda pids: dict.fromkeys(pids, 5))
    waiting = Waiting(two, 4)
    assert not waiting.is_there
    one.free()
    waiting.has_it()


def test_nobody_waits_for_ever(make: Make) -> None:
    one, two = make(), make()
    one.take(9)
    assert two.take(9, patience=0.05) > 0


def test_off_asks_nobody(make: Make, tmp_path: Path) -> None:
    off = make(is_off=True)
    assert off.take(10**15) == 0.0
    assert off.claim(10**15).free > 10**15
    assert not (tmp_path / "memory").exists()
    assert off.environment()["MODELCONFORM_MEMORY"] == "off"


HOLDER = """
import sys
from pathlib import Path
from pytest_modelconform.cache.reservations import Reservations
from pytest_modelconform.terms.capacity import Memory
one = Reservations(Path(sys.argv[1]), look=lambda: Memory(16, 10))
one.take(9)
print(flush=True)
sys.stdin.read()
"""


def test_a_dead_process_has_reserved_nothing(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / "memory"
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdin=-1, stdout=-1)
    assert process.stdout is not None
    process.stdout.readline()
    waiting = Waiting(make(), 9)
    assert not waiting.is_there
    process.send_signal(signal.SIGKILL)
    process.communicate()
    waiting.has_it()
    waiting.one.close()
    assert [path.name for path in folder.iterdir()] == ["door"]


@pytest.mark.parametrize("ends", ["sys.exit()", "os._exit(1)"])
def test_what_a_process_leaves_is_gone_when_it_ends_or_when_the_next_one_begins(
    ends: str, make: Make, tmp_path: Path
) -> None:
    folder = tmp_path / "memory"
    code = HOLDER.replace("sys.stdin.read()", f"import os; {ends}")
    subprocess.run([sys.executable, "-c", code, str(folder)], check=False, timeout=60)
    assert len(list(folder.iterdir())) == (1 if "sys" in ends else 2)
    one = make()
    one.take(1)
    one.close()
    assert [path.name for path in folder.iterdir()] == ["door"]


def test_a_step_reserves_what_it_finds_free(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker of one process, and that of another one which looks at the same moment."""
    one, two = make(), make()
    one.take(1)
    two.take(1)
    for name, value in one.environment().items():
        monkeypatch.setenv(name, value)
    worker = Reservations.of_environment()
    worker._look = lambda: Memory(16, FREE)
    assert worker.claim(7) == Memory(16, 9)
    assert two.claim(7) == Memory(16, 3)
    # Whoever begins a cell now waits behind it.
    third = make()
    waiting = Waiting(third, 1)
    assert not waiting.is_there
    two.give_up()
    waiting.has_it()
    third.free()
    one.free()
    assert two.claim(7) == Memory(16, 10)


def test_without_a_process_that_reserves_a_step_sees_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (module.VARIABLE, module.LIMIT):
        monkeypatch.delenv(name, raising=False)
    worker = Reservations.of_environment()
    worker._look = lambda: Memory(16, FREE)
    assert worker.claim(99) == Memory(16, FREE)
    worker.give_up()


def test_on_a_disk_that_can_only_be_read_nothing_waits(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    one = Reservations(tmp_path / "file" / "memory", look=lambda: Memory(16, 1))
    assert one.take(99) == 0.0
    assert one.claim(5) == Memory(16, 1)
    one.free()
    one.close()


def test_a_door_that_a_stopped_process_holds_does_not_stop_others(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    monkeypatch.setattr(module, "_AT_THE_DOOR", 0.05)
    one = make()
    one.take(1)
    held = os.open(tmp_path / "memory" / "door", os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        assert one.take(2) == 0.0
    finally:
        os.close(held)


def test_machines_that_share_a_cache_are_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = set()
    for name in ("here", "there"):
        monkeypatch.setattr("platform.node", lambda name=name: name)
        one = Reservations.of_cache(tmp_path, None, is_off=False)
        one.take(1)
        folders |= set((tmp_path / "memory").iterdir())
        one.close()
    assert len(folders) == 2


def test_what_a_run_leaves(tmp_path: Path) -> None:
    """A door, and nothing of a session that has ended."""
    runs.write(tmp_path, {"case_small.py": runs.PLAIN})
    cache = tmp_path / "cache"
    found = runs.run(tmp_path, "-n2", f"--modelconform-cache={cache}", "case_small.py")
    assert found.status == 0, found.stdout
    assert {path.name for path in (cache / "memory").rglob("*") if path.is_file()} == {"door"}
