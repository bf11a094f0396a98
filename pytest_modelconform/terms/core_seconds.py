"""Core-seconds: seconds of processor time, user and system, by what they were spent on."""

from __future__ import annotations

import contextlib
import resource
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

HARNESS = "harness"
INSTALL = "install"
# What a worker does for a request. Whatever it does before its first answer is "start": imports, mostly.
KINDS: Mapping[str, str] = {
    "hello": "start",
    "collect": "collect",
    "reference": "reference",
    "export": "export",
    "convert": "export",
    "packages": "export",
    "load": "load",
    "unload": "load",
    "run": "run",
    "concurrent": "run",
    "train": "run",
    "resume": "run",
    "noise": "noise",
    "diagnose": "diagnose",
    # What takes a model apart.
    "program": "blame",
    "sketch": "blame",
    "keep": "blame",
}
FIELD = "core_seconds"
# No worker lives that long; a worker that says more counts with a clock of its own.
_MOST = 1e7


class CoreSeconds:
    """Adds up what several threads report."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spent: Counter[str] = Counter()

    def add(self, kind: str, seconds: float) -> None:
        """Add seconds of a kind."""
        with self._lock:
            self._spent[kind] += seconds  # type: ignore[assignment]

    def take(self, op: str, answer: dict[str, Any]) -> None:
        """Take out of a worker's answer what it spent since the one before; workers of other packages may not say."""
        seconds = answer.pop(FIELD, None)
        if isinstance(seconds, (int, float)) and 0 <= seconds < _MOST:
            self.add(KINDS.get(op, "other"), float(seconds))

    @contextlib.contextmanager
    def of_children(self, kind: str) -> Iterator[None]:
        """Count what those children of this process have taken that end meanwhile: wait for no other ones."""
        before = _of_children()
        try:
            yield
        finally:
            self.add(kind, _of_children() - before)

    def by_kind(self) -> dict[str, float]:
        """The seconds so far."""
        with self._lock:
            return dict(self._spent)


def _of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


# Of this process and all that it started, as the kernel's own sums are.
SPENT = CoreSeconds()
