"""Memory that the processes of this machine's runs have reserved, so that what would not fit beside what runs waits.

Each process has a file in a folder of the cache, whose lock it holds for as long as it lives. The system frees that at
its death, whatever that was, and what it had reserved counts no more. Whoever looks at all of them holds the door.

Nobody waits for ever: who has waited longest comes first, others wait behind it, and where no other process holds
anything it goes on, whatever it wants. A process holds nothing while it waits for a cell's beginning.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import hashlib
import os
import platform
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..terms import capacity, resident
from ..terms.capacity import Memory

FOLDER = "memory"
# What a worker's environment has: the file of the process that started it, and what the run may take.
VARIABLE, LIMIT = "MODELCONFORM_RESERVATION", "MODELCONFORM_MEMORY"
OFF = "off"
# Seconds between two looks of somebody who waits, and after which it goes on: somebody may stand in a debugger. Then a
# step that doesn't fit is told when it is about to begin (`terms/memory.py`).
_AGAIN, PATIENCE = 0.2, 600.0
# Seconds after which it says that it waits, and ends its workers: to start them again takes as long.
_LONG = 5.0
# Seconds for which a look at the machine's memory counts, where all that is reserved would fit beside it.
_FRESH = 1.0
# Seconds that others may hold the door: one of them may have been stopped.
_AT_THE_DOOR = 2.0
# An entry as a file has it: text would take four times as long to read, before each cell and for each process.
_ENTRY = struct.Struct("<qqqd")
_ENDING = ".reserved"


@dataclass(frozen=True)
class Entry:
    """What a process has reserved. size: bytes, with what its workers have already.

    wants: what it waits for, 0 for nothing, and since when, in seconds since the epoch.
    """

    pid: int
    size: int = 0
    wants: int = 0
    since: float = 0.0


class Reservations:
    """Those of one process among all others.

    limit: bytes that the runs may take, where it isn't all that the machine or the container has. is_off: nobody asks,
    and nothing waits. file: that of the process that started this one, which this one speaks for. look: what memory
    there is.
    """

    def __init__(
        self,
        folder: Path | None,
        limit: int | None = None,
        is_off: bool = False,
        file: Path | None = None,
        look: Callable[[], Memory] | None = None,
    ) -> None:
        self._folder = folder
        self._limit = limit
        self.is_off = is_off
        # By the module's name, so that tests of a machine with other memory can say so.
        self._look = look or (lambda: capacity.memory())
        self._file = file
        self._descriptor: int | None = None
        self._mine = Entry(os.getpid())
        if file is not None:
            self._folder = file.parent
            self._mine = _read(file) or Entry(os.getppid())
        self._last: tuple[float, Memory] | None = None
        # Whether what was taken last fits only if workers of this process that have nothing to do with it end.
        self.leans_on_own = False

    @classmethod
    def of_cache(cls, cache: Path, limit: int | None, is_off: bool) -> Reservations:
        """Those of a process that runs cells. Caches on disks of several machines keep these apart."""
        try:
            boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        except OSError:
            boot = ""
        machine = hashlib.sha256(f"{platform.node()} {boot}".encode()).hexdigest()[:12]
        return cls(cache / FOLDER / machine, limit, is_off)

    @classmethod
    def of_environment(cls) -> Reservations:
        """Those of a worker, which speaks for the process that started it."""
        said, file = os.environ.get(LIMIT, ""), os.environ.get(VARIABLE, "")
        limit = int(said) if said.isdecimal() else None
        return cls(None, limit, said == OFF, Path(file) if file and Path(file).is_file() else None)

    def environment(self) -> dict[str, str]:
        """What the environment of a worker needs for `of_environment`."""
        self._enter()
        found = {} if self._file is None else {VARIABLE: str(self._file)}
        if self.is_off or self._limit is not None:
            found[LIMIT] = OFF if self.is_off else str(self._limit)
        return found

    def memory(self) -> Memory:
        """What the machine has, or what of it the run may take."""
        found = self._look()
        self._last = time.monotonic(), found
        total = min(found.total, self._limit) if self._limit is not None else found.total
        return Memory(total, min(found.free, total))

    # -- a cell ----------------------------------------------------------------------------------------------------

    def take(
        self,
        size: int,
        own: Callable[[], int] = lambda: 0,
        say: Callable[[], None] = lambda: None,
        patience: float = PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> float:
        """Reserve bytes for what this process runs next, in place of what it had; the seconds that this waited.

        own: bytes that its workers have now, and which are in use or can be freed. say: called once if it waits long.
        """
        if self.is_off or not self._enter():
            return 0.0
        begin = time.monotonic()
        self.leans_on_own = False
        with self._door():
            if self._fits_at_once(size):
                self._write(replace(self._mine, size=size, wants=0, since=0.0))
                return 0.0
        is_said = False
        while True:
            waited = time.monotonic() - begin
            with self._door():
                if waited > patience or self._fits(size, own()):
                    self._write(replace(self._mine, size=size, wants=0, since=0.0))
                    return waited
                self._write(replace(self._mine, size=0, wants=size, since=self._mine.since or time.time()))
            if not is_said and waited >= _LONG:
                say()
                is_said = True
            sleep(_AGAIN)

    def free(self) -> None:
        """Nothing runs in this process now."""
        if self._mine.size or self._mine.wants:
            self._write(replace(self._mine, size=0, wants=0, since=0.0))

    def close(self) -> None:
        """This process runs nothing more."""
        # Not of a copy of this process (os.fork) that ends.
        if self._descriptor is not None and self._file is not None and self._mine.pid == os.getpid():
            atexit.unregister(self.close)
            with contextlib.suppress(OSError):
                self._file.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = self._file = None

    def _fits_at_once(self, size: int) -> bool:
        """Whether it fits if all others took what they have reserved from now on, which is the usual case."""
        others = list(self._others())
        if self._limit is not None or any(other.wants for other in others):
            return False
        then, found = self._last or (0.0, None)
        if found is None or time.monotonic() - then > _FRESH:
            found = self.memory()
        return size + sum(other.size for other in others) <= found.free

    def _fits(self, size: int, own: int) -> bool:
        """Whether it is this one's turn, and it fits; where no other holds anything it does."""
        others = self._living()
        mine = self._mine.since or time.time()
        if any(other.wants and (other.since, other.pid) < (mine, self._mine.pid) for other in others):
            return False
        if not any(other.size for other in others):
            self.leans_on_own = size > self.memory().free
            return True
        found = self.memory()
        if size + sum(other.size for other in others) > found.total and self._limit is not None:
            return False
        free = found.free - _outstanding(others)
        self.leans_on_own = size > free
        return size <= free + own

    # -- a step ----------------------------------------------------------------------------------------------------

    def claim(self, needed: float) -> Memory:
        """What a step finds that needs bytes besides all that there is. Where they are free, they are reserved with it.

        Else those who begin a cell wait until there is enough for it.
        """
        found = self.memory()
        if self.is_off:
            return Memory(found.total, max(found.total, int(needed) + 1))
        if self._file is None:
            return found
        with self._door():
            self._mine = _read(self._file) or self._mine
            others = self._living()
            free = found.free - _outstanding(others)
            if needed <= free:
                size = max(self._mine.size, resident.of_kin([self._mine.pid])[self._mine.pid] + int(needed))
                self._write(replace(self._mine, size=size, wants=0, since=0.0))
            else:
                self._write(replace(self._mine, wants=int(needed), since=self._mine.since or time.time()))
        return Memory(found.total, max(0, free))

    def give_up(self) -> None:
        """A step that has waited doesn't begin."""
        if self._file is not None:
            self._mine = _read(self._file) or self._mine
            self._write(replace(self._mine, wants=0, since=0.0))

    # -- the files -------------------------------------------------------------------------------------------------

    def _enter(self) -> bool:
        """Make this process's file; whether there is one. On a disk that is full or can only be read, there is none."""
        if self._file is None and self._folder is not None:
            with contextlib.suppress(OSError):
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                # Not before it is locked may anybody take it for one of a process that has ended.
                with self._door():
                    descriptor, name = tempfile.mkstemp(prefix=f"{os.getpid()}-", suffix=_ENDING, dir=self._folder)
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    self._descriptor, self._file = descriptor, Path(name)
                    self._write(self._mine)
                    # Commands that borrow a session have no end of their own; and what was killed has left its file.
                    atexit.register(self.close)
                    self._living()
            if self._file is None:
                self._folder = None
        return self._file is not None

    def _write(self, entry: Entry) -> None:
        self._mine = entry
        packed = _ENTRY.pack(entry.pid, entry.size, entry.wants, entry.since)
        # What a disk does is no reason to lose a verdict.
        with contextlib.suppress(OSError):
            if self._descriptor is not None:
                os.pwrite(self._descriptor, packed, 0)
            elif self._file is not None:
                descriptor = os.open(self._file, os.O_WRONLY)
                try:
                    os.pwrite(descriptor, packed, 0)
                finally:
                    os.close(descriptor)

    def _others(self) -> Iterator[Entry]:
        """What the files of others say, of processes that may have ended."""
        yield from filter(None, map(_read, self._paths()))

    def _living(self) -> list[Entry]:
        """What others hold that live. Files of processes that have ended are removed."""
        found: list[Entry] = []
        for path in self._paths():
            try:
                descriptor = os.open(path, os.O_RDWR)
            except OSError:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                Path(path).unlink(missing_ok=True)
            except OSError:
                found += filter(None, [_read(path)])
            finally:
                os.close(descriptor)
        return found

    def _paths(self) -> list[str]:
        assert self._folder is not None
        own = self._file.name if self._file is not None else ""
        try:
            with os.scandir(self._folder) as entries:
                return [entry.path for entry in entries if entry.name.endswith(_ENDING) and entry.name != own]
        except OSError:
            return []

    @contextlib.contextmanager
    def _door(self) -> Iterator[None]:
        """Hold the door; without, where it can't be had."""
        assert self._folder is not None
        try:
            descriptor = os.open(self._folder / "door", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            yield
            return
        try:
            until = time.monotonic() + _AT_THE_DOOR
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    if time.monotonic() > until:
                        break
                    time.sleep(0.001)
            yield
        finally:
            os.close(descriptor)


def _read(path: str | Path) -> Entry | None:
    """What a file says; None where that is nothing, or it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        return Entry(*_ENTRY.unpack(os.read(descriptor, _ENTRY.size)))
    except (OSError, struct.error):
        return None
    finally:
        os.close(descriptor)


def _outstanding(others: list[Entry]) -> int:
    """Bytes that others have reserved and not taken yet: what they have taken isn't free any more."""
    taken = resident.of_kin(other.pid for other in others)
    return sum(max(0, other.size - taken[other.pid]) for other in others)
