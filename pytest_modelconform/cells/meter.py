"""What a cell's workers take of memory: the most that all of them together had at a time."""

from __future__ import annotations

import time
from pathlib import Path

from ..terms import resident

# Seconds between two looks at what a worker has started, and of all time, the share that they may take.
_OFTEN, _SHARE = 0.5, 0.01


class Meter:
    """Told which worker is asked, one at a time. Between two cells that one worker runs, that is two reads of /proc.

    proc: where Linux tells of processes.
    """

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._most = 0
        # Those of the cell; the one whose turn it is; what it and its descendants were seen to have meanwhile.
        self._pids: set[int] = set()
        self._at: int | None = None
        self._seen = self._kin = 0
        # Workers that had descendants when somebody looked: a browser, say, which is there between requests, too.
        self._parents: set[int] = set()
        self._next_look = 0.0

    def begin(self) -> None:
        """A cell begins: nobody has taken anything for it yet."""
        self._most = 0
        self._pids.clear()
        self._at = None

    def joins(self, pid: int) -> None:
        """A worker has been started for the cell, and imports what it needs."""
        self._pids.add(pid)

    def turn(self, pid: int) -> None:
        """A worker is asked for something."""
        if pid == self._at:
            return
        self._end_of_turn()
        resident.forget(pid, self._proc)
        self._pids.add(pid)
        self._at, self._seen, self._kin = pid, 0, 0

    def look(self, is_last: bool = False) -> None:
        """While the one whose turn it is works: what it has, and what it has started. is_last: before it is killed."""
        if self._at is None or (time.monotonic() < self._next_look and not is_last):
            return
        self._seen = max(self._seen, resident.most(self._at, self._proc))
        self._look_at_kin(self._at)

    def acquaint(self, pid: int) -> None:
        """A worker has answered for the first time: has it started others that stay?"""
        self._look_at_kin(pid)

    def took(self, pid: int, size: int) -> int:
        """What a worker that is gone had at the most. size: what is known otherwise, or 0."""
        if pid != self._at:
            return size
        self._seen = max(self._seen, size)
        return self._seen

    @property
    def most(self) -> int | None:
        """Bytes so far; None where no worker was asked, or where the system doesn't tell."""
        self._end_of_turn()
        return self._most or None

    def _end_of_turn(self) -> None:
        if self._at is None:
            return
        if self._at in self._parents:
            self._look_at_kin(self._at)
        own = max(resident.most(self._at, self._proc), self._seen)
        others = sum(resident.now(pid, self._proc) for pid in self._pids if pid != self._at)
        if own:
            self._most = max(self._most, own + self._kin + others)

    def _look_at_kin(self, pid: int) -> None:
        begin = time.monotonic()
        found = resident.of_kin([pid], self._proc)[pid]
        self._parents = self._parents | {pid} if found else self._parents - {pid}
        self._kin = max(self._kin, found)
        end = time.monotonic()
        self._next_look = end + max(_OFTEN, (end - begin) / _SHARE)
