"""What a run's time went into: core-seconds by kind, of all processes, for the log and for whoever waited."""

from __future__ import annotations

import resource
import textwrap
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from ..terms.core_seconds import SPENT
from .progress import Used

_OUTPUT = "modelconform_core_seconds"
# The plugin that knows how well the processes were used.
_AHEAD = "modelconform-ahead"
# Seconds from which on a run says what took them, and how many kinds it names.
_LONG = 60.0
_NAMED = 6
_WIDTH = 80


class Accounting:
    """Hooks that sum up what this process and, in xdist, its workers have spent.

    A worker's answers say what they took, and so do compilers and installers (`SPENT`). What this process itself takes
    is "pytest"; "other" is of children of which no answer tells: workers that end, crash or hang.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self._begin = time.monotonic()
        self._before = self._now()
        self._of_workers: Counter[str] = Counter()
        self._told = 0

    def record(self) -> dict[str, Any]:
        """Seconds of the run so far (wall), pytest processes, and core-seconds by kind."""
        spent = Counter(self._of_workers)
        spent.update(self._spent())
        return {
            "wall": round(time.monotonic() - self._begin, 3),
            # Of a cluster's nodes nobody said how many there would be.
            "processes": self.config.getoption("numprocesses", None) or self._told or 1,
            "core_seconds": {kind: round(seconds, 3) for kind, seconds in sorted(spent.items())},
        }

    def _now(self) -> Counter[str]:
        own, children = (_seconds(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        found = Counter(SPENT.by_kind())
        found["other"] += children - sum(found.values())  # type: ignore[assignment]
        found["pytest"] += own  # type: ignore[assignment]
        return found

    def _spent(self) -> dict[str, float]:
        now = self._now()
        if self.config.getoption("numprocesses", None):
            # The children of a controller are its workers, which tell of themselves.
            del now["other"]
        found = {kind: float(seconds) - self._before[kind] for kind, seconds in now.items()}
        return {kind: seconds for kind, seconds in found.items() if seconds > 0}

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """In xdist's worker: tell the controller. It is registered after the plugin that ends the workers."""
        if hasattr(self.config, "workerinput"):
            self.config.workeroutput[_OUTPUT] = self._spent()  # type: ignore[attr-defined]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """On a controller: what a process of xdist's, or of a node, has spent. One that died has said nothing."""
        output = getattr(node, "workeroutput", {})
        self._told += _OUTPUT in output
        self._of_workers.update(output.get(_OUTPUT, {}))

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """In one line: how well several processes were used, and after a run of a minute or more what took the time."""
        record, used = self.record(), getattr(self.config.pluginmanager.get_plugin(_AHEAD), "used", None)
        is_long = record["wall"] >= _LONG and not hasattr(self.config, "workerinput")
        if self.config.option.verbose < 0:
            used = None
        if is_long or used is not None:
            terminalreporter.write_line(said(record if is_long else None, used))


def said(record: Mapping[str, Any] | None, used: Used | None = None) -> str:
    """The time of a run in words, at most 80 columns wide: "612 s in 2 processes; core-seconds: export 685, …".

    record: None for a short run, of which nobody asks what took it. used: of several processes, None for one.
    """
    if record is None:
        text = str(used)
    else:
        processes = record["processes"]
        text = f"{record['wall']:.0f} s in {processes} process{'es' if processes != 1 else ''}"
        text += f", idle for {used.idle:.1%} while cells ran" if used is not None else ""
        shown = _kinds(record)
        text += f"; core-seconds: {shown}" if shown else ""
    return textwrap.fill(f"modelconform: {text}", _WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _kinds(record: Mapping[str, Any]) -> str:
    """The kinds of a record that took most."""
    spent = Counter({kind: seconds for kind, seconds in record["core_seconds"].items() if kind != "other"})
    named = spent.most_common(_NAMED)
    rest = sum(record["core_seconds"].values()) - sum(seconds for _, seconds in named)
    return ", ".join(f"{kind} {seconds:.0f}" for kind, seconds in [*named, ("other", rest)] if seconds >= 0.5)


def _seconds(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime
