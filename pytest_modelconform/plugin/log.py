"""The log of a run, and what is made of it at the end."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..report import entries, json_report, log, matrix, terminal
from ..terms.cell import Cell
from ..terms.outcome import Outcome, Verdict
from . import durations, header
from .run import Run

_KEPT = 20
# How pytest counts failures that only follow from another one.
FOLLOW_ON = "follow-on"


class RunLog:
    """Takes what cells came to, in the one process that gets all reports; every collected cell ends with a record."""

    def __init__(self, run: Run) -> None:
        self.run = run
        # By node id: what will run, so that what does not can be told.
        self.collected: dict[str, Cell] = {}
        self._seconds: dict[str, float] = {}
        self._recorded: set[str] = set()
        # By what they have in common, the first of the failures with one cause.
        self._causes: dict[tuple[object, ...], str] = {}
        self._follow_on: set[str] = set()
        self._writer: log.LogWriter | None = None

    def record(self, cell: Cell, outcome: Outcome, seconds: float) -> None:
        """Write a finished cell. seconds: that its test took."""
        self._seconds[cell.id] = seconds
        if matrix.is_surprising(outcome) and self._follows(cell, outcome):
            self._follow_on.add(cell.id)
        self._write(cell, outcome)

    def is_follow_on(self, node_id: str) -> bool:
        """Whether an item fails for a reason that another one has already, or will, show."""
        return node_id in self._follow_on

    def _follows(self, cell: Cell, outcome: Outcome) -> bool:
        if matrix.is_blocked(cell, outcome) and matrix.check_of(cell) in self.collected.values():
            return True
        first = self._causes.setdefault(entries.cause(cell, outcome), cell.id)
        # A runtime that fails as another one does is a failure for itself.
        return first != cell.id and outcome.stage in entries.BEFORE_RUNTIMES

    def finish(self) -> None:
        """Give every collected cell its record, end the log, and write the reports that were asked for."""
        for node_id, cell in self.collected.items():
            if node_id not in self._recorded:
                self._write(cell, Outcome(Verdict.NOT_RUN, None, "not run: the session ended before"))
        settings = self.run.settings
        witnesses = self.run.machinery.witnesses
        if witnesses is not None:
            for cell, note in witnesses.notes():
                if cell.id in self._recorded and self._writer is not None:
                    self._writer.note(cell, note)
            witnesses.remove()
        if settings.shard:
            self._opened()  # A shard that has nothing to run says so: without a log it would be missing.
        if self._writer is None:
            return
        self._writer.close(self.run.sharded)
        if settings.json is not None:
            json_report.write(log.read(self._writer.path), settings.json)
        if settings.html is not None:
            # Here, since templates take their time to import, and few sessions want a page.
            from ..report import html

            html.write(log.read(self._writer.path), settings.html)
        durations.remember_durations(settings.cache, self._seconds)

    def summarise(self, terminalreporter: Any) -> None:
        """Print the matrix, if anything ran."""
        if self._writer is None:
            return
        written = log.read(self._writer.path)
        registry = self.run.machinery.registry
        terminalreporter.section("compatibility matrix")
        writer = terminalreporter._tw
        folded = matrix.fold(written.cells, registry.formats, registry.runtimes)
        # A log that was not named is found without its name.
        named = os.path.relpath(self._writer.path) if self.run.settings.log is not None else ""
        terminal.write(folded, writer, self._rerun, written.complete, named)
        writer.line()
        writer.line(f"log: {self._writer.path}")

    def _rerun(self, cell: Cell) -> str:
        return f"{self.run.rerun_command()} {shlex.quote(cell.id)}"

    def known_durations(self) -> Mapping[str, float]:
        """Seconds by node id, of earlier runs."""
        return durations.durations(self.run.settings.cache)

    def _write(self, cell: Cell, outcome: Outcome) -> None:
        self._recorded.add(cell.id)
        self._opened().cell(cell, outcome)

    def _opened(self) -> log.LogWriter:
        if self._writer is None:
            self._writer = log.LogWriter(self._path(), header.describe(self.run), self.run.settings.shard)
        return self._writer

    def _path(self) -> Path:
        settings = self.run.settings
        if settings.log is not None:
            return settings.log
        name = time.strftime("%Y%m%d-%H%M%S") + f"-{os.getpid()}.jsonl"
        folder = settings.cache / "logs"
        if (cache := getattr(self.run.config, "cache", None)) is not None:
            folder = cache.mkdir("modelconform")
        for old in sorted(folder.glob("*.jsonl"))[: -_KEPT + 1]:
            old.unlink(missing_ok=True)
        return folder / name
