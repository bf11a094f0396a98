"""Lines about work that takes long: builds and installations, which happen once, and cells that seem to stand still."""

from __future__ import annotations

import os
import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

# Seconds without a result, or such a line, after which it is said what is under way.
QUIET = 60.0
# Cells that such a line names.
_NAMED = 3
_WIDTH = 80
# Where a process whose terminal nobody sees has what takes such lines.
_ELSEWHERE = pytest.StashKey[Callable[[str], None]]()


def send(config: pytest.Config, say: Callable[[str], None]) -> None:
    """Have the lines of this process shown elsewhere."""
    config.stash[_ELSEWHERE] = say


def show(config: pytest.Config, text: str) -> None:
    """Write a line to the terminal, past pytest's capturing; to stderr where there is no terminal reporter."""
    if (say := config.stash.get(_ELSEWHERE, None)) is not None:
        say(text)
        return
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    capture = config.pluginmanager.get_plugin("capturemanager")
    if reporter is None or capture is None:
        os.write(2, f"{text}\n".encode())
        return
    with capture.global_and_fixture_disabled():
        write_line(reporter, text)


def write_line(reporter: Any, text: str) -> None:
    """Write lines of their own, where the terminal reporter may have written dots."""
    # It ends a line that it knows to have begun with a file's name, and no other: with xdist there is none.
    if not reporter.currentfspath and reporter._tw.width_of_current_line:
        reporter._tw.line()
    reporter.write_line(text)


class UnderWay:
    """Which cells run, on an xdist controller, and for how long there has been no result."""

    def __init__(self, now: float) -> None:
        self._since: dict[str, float] = {}
        self._heard = now

    def begin(self, node_id: str, now: float) -> None:
        """A process has begun a cell."""
        self._since[node_id] = now

    def end(self, node_id: str, now: float) -> None:
        """A cell has ended."""
        self._since.pop(node_id, None)
        self._heard = now

    def overdue(self, now: float) -> str:
        """A text for the terminal where nothing was heard for long; else "". Said once a minute."""
        if not self._since or now - self._heard < QUIET:
            return ""
        self._heard = now
        names = [
            f"{name.rpartition('::')[2]} ({now - since:.0f} s)"
            for name, since in sorted(self._since.items(), key=lambda entry: entry[1])
        ]
        more = [f"and {len(names) - _NAMED} more"] if len(names) > _NAMED else []
        return said("still running: " + ", ".join([*names[:_NAMED], *more]))


class Teller(threading.Thread):
    """Says what is overdue, as long as the main thread waits for results. say: writes a text to the terminal."""

    def __init__(self, overdue: Callable[[float], str], say: Callable[[str], None]) -> None:
        super().__init__(name="modelconform-teller", daemon=True)
        self._overdue = overdue
        self._say = say
        self._stopped = threading.Event()

    def run(self) -> None:
        """Look once a second."""
        while not self._stopped.wait(1.0):
            if text := self._overdue(time.monotonic()):
                self._say(text)

    def stop(self) -> None:
        """Say no more."""
        self._stopped.set()


def said(text: str) -> str:
    """A text of ours in lines that fit a terminal."""
    return textwrap.fill(f"modelconform: {text}", _WIDTH, subsequent_indent="  ", break_on_hyphens=False)


@dataclass(frozen=True)
class Used:
    """How several processes were used. wall: seconds from the first cell to the last. busy: seconds of all cells."""

    wall: float
    processes: int
    busy: float

    @property
    def idle(self) -> float:
        """Of the time of all processes, the share in which they ran no cell."""
        whole = self.wall * self.processes
        return min(1.0, max(0.0, 1.0 - self.busy / whole)) if whole > 0 else 0.0

    def __str__(self) -> str:
        """As the end of a run says it."""
        return f"cells took {self.wall:.0f} s on {self.processes} processes, idle for {self.idle:.1%} of that"
