"""The log of a run, and what is made of it at the end.

Results survive: what a disk, a report or a library of ours does wrong is said in a line, after the matrix.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ..report import entries, json_report, log, matrix, places, terminal
from ..report.packed import Kept
from ..report.plural import counted
from ..terms.blame import Blame
from ..terms.cell import Cell
from ..terms.outcome import Outcome, Verdict
from ..terms.records import to_record
from ..terms.wording import fault_of_ours
from . import header
from .run import Run

_KEPT = 20
# How pytest counts failures that only follow from another one.
FOLLOW_ON = "follow-on"


class RunLog:
    """Takes what cells came to, in the one process that gets all reports; every collected cell ends with a record.

    Raises pytest.UsageError where a file that the options name can't be written. faults: what went wrong with the log
    or a report, a line each. full: what there was to say of a cache that became full, by each process. remarks: what
    else there is to say after the matrix.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        # By node id: what will run, so that what does not can be told.
        self.collected: dict[str, Cell] = {}
        self.faults: list[str] = []
        self.full: list[str] = []
        self.remarks: list[str] = []
        self._recorded: set[str] = set()
        # By what they have in common, the first of the failures with one cause.
        self._causes: dict[tuple[object, ...], str] = {}
        self._follow_on: set[str] = set()
        self._cells: set[Cell] | None = None
        self._blamed: dict[Cell, dict[str, Any]] = {}
        self._writer: log.LogWriter | None = None
        # The log as it is in memory, for when the disk fails; and whether it did.
        self._kept = Kept()
        # What the reports are made of, once the session is finished.
        self._found: log.Log | None = None
        self._environment: Mapping[str, Any] = {}
        self._lost = self._finished = False
        self._cut_off = 0
        # Of the cells of an earlier log, those whose records stood.
        self._stood: set[Cell] = set()
        if not run.is_xdist_worker and not run.config.option.collectonly:
            _refuse_places(run)
            if run.resumed is not None:
                run.resumed.refuse_others(header.describe(run))

    def record(self, cell: Cell, outcome: Outcome, stood: bool = False) -> None:
        """Write a finished cell. stood: whether it is as an earlier log has it."""
        if stood:
            self._stood.add(cell)
        if matrix.is_surprising(outcome) and self._follows(cell, outcome):
            self._follow_on.add(cell.id)
        self._write(cell, outcome)

    def blame(self, cell: Cell, blame: Blame) -> None:
        """Write which operator a cell that was recorded fails at."""
        if cell.id in self._recorded:
            stored = blame.to_json()
            self._blamed[cell] = stored
            self._save(lambda writer: writer.blame(cell, stored))

    def is_follow_on(self, node_id: str) -> bool:
        """Whether an item fails for a reason that another one has already, or will, show."""
        return node_id in self._follow_on

    def _follows(self, cell: Cell, outcome: Outcome) -> bool:
        if matrix.is_blocked(cell, outcome) and self._is_collected(matrix.check_of(cell)):
            return True
        first = self._causes.setdefault(entries.cause(cell, outcome), cell.id)
        # A runtime that fails as another one does is a failure for itself.
        return first != cell.id and outcome.stage in entries.BEFORE_RUNTIMES

    def _is_collected(self, cell: Cell) -> bool:
        if self._cells is None or len(self._cells) != len(self.collected):
            self._cells = set(self.collected.values())
        return cell in self._cells

    def finish(self) -> bool:
        """Give every collected cell its record, end the log, and write the reports that were asked for.

        Returns whether all of that worked; else `faults` says what did not.
        """
        for node_id, cell in self.collected.items():
            if node_id not in self._recorded:
                self._write(cell, Outcome(Verdict.NOT_RUN, None, "not run: the session ended before"))
                self._cut_off += 1
        settings = self.run.settings
        with self._surviving("the runtimes that agree with each other"):
            self._add_witnesses()
        if settings.shard and not self.run.is_refused:
            self._save(lambda writer: None)  # One that has nothing to run says so: without a log it would be missing.
        if self._writer is not None:
            self._save(lambda writer: writer.close(self.run.sharded, self.run.accounting.record()))
        self._finished = True
        found = self._content()
        if found is None:
            return not self.faults
        if settings.json is not None:
            with self._surviving(f"the JSON report {settings.json}"):
                json_report.write(found, settings.json)
        if settings.html is not None:
            with self._surviving(f"the page {settings.html}"):
                # Here, since templates take their time to import, and few sessions want a page.
                from ..report import html

                if said := html.write(found, settings.html):
                    self.remarks.append(said)
        return not self.faults

    def summarise(self, terminalreporter: Any) -> None:
        """Print the matrix, if anything ran, and the log's path, and what could not be written."""
        found = self._content()
        if found is not None:
            terminalreporter.section("compatibility matrix")
            with self._surviving("the matrix"):
                self._write_matrix(found, terminalreporter._tw)
                terminalreporter.write_line("")
            if any(fault.startswith("the matrix ") for fault in self.faults):
                for cell, outcome in found.cells:
                    terminalreporter.write_line(f"{cell.id}: {outcome.verdict.value}")
        if self._writer is not None:
            terminalreporter.write_line(f"log: {self._writer.path}{' (incomplete)' if self._lost else ''}")
        for said in dict.fromkeys((*self.full, *self.remarks, *self._of_resuming())):
            terminalreporter.write_line(said, yellow=True)
        for fault in self.faults:
            terminalreporter.write_line(f"modelconform: {fault}", red=True)

    def _of_resuming(self) -> Iterator[str]:
        """What there is to say of cells that had run before, and of those that have not run yet."""
        if (resumed := self.run.resumed) is not None and len(resumed):
            collected = [cell for cell in set(self.collected.values()) if cell in resumed]
            again = sum(cell not in self._stood for cell in collected) if not self._cut_off else 0
            yield f"modelconform: {counted(len(self._stood), 'cell')} as in {resumed.path}" + (
                f"; {again} more of it ran again, since their cases, or what they are made with, may have changed"
                if again
                else ""
            )
            if others := len(resumed) - len(collected):
                are = "cells of it are" if others != 1 else "cell of it is"
                yield f"modelconform: {others} {are} no part of this run: the command was another one"
        if self._cut_off and self._writer is not None and not self._lost:
            have = "cells have" if self._cut_off != 1 else "cell has"
            path = os.path.relpath(self._writer.path)
            yield f"modelconform: {self._cut_off} {have} not run; to run the rest, add --modelconform-resume {path}"

    def _write_matrix(self, found: log.Log, writer: Any) -> None:
        registry = self.run.machinery.registry
        folded = matrix.fold(found.cells, registry.formats, registry.runtimes)
        # A log that was not named is found without its name.
        named = os.path.relpath(self._writer.path) if self._writer and self.run.settings.log is not None else ""
        terminal.write(folded, writer, self.run.rerun_command, found.complete, named)

    def _add_witnesses(self) -> None:
        witnesses = self.run.machinery.witnesses
        if witnesses is None:
            return
        try:
            for cell, note in witnesses.notes():
                if cell.id in self._recorded:
                    self._save(lambda writer, cell=cell, note=note: writer.note(cell, note))  # type: ignore[misc]
        finally:
            witnesses.remove()

    def _content(self) -> log.Log | None:
        """The log, from the disk or, where that failed, from memory; None if nothing ran."""
        if self._found is not None:
            return self._found
        found = None
        if self._writer is not None and not self._lost:
            with self._surviving(f"the log {self._writer.path}", "read"):
                found = log.read(self._writer.path)
        if found is None and self._kept:
            cells = [(cell, replace(o, blame=self._blamed.get(cell, o.blame))) for cell, o in self._kept.cells()]
            found = log.Log(self._environment, cells, complete=self._finished)
        if self._finished:
            self._found = found
        return found

    def _write(self, cell: Cell, outcome: Outcome) -> None:
        record = to_record(cell, outcome)
        self._recorded.add(cell.id)
        self._kept.add(record)
        self._save(lambda writer: writer.record(record))

    def _save(self, write: Callable[[log.LogWriter], None]) -> None:
        """Write to the log, unless that has failed before."""
        if self._lost:
            return
        try:
            write(self._opened())
        except (OSError, ValueError) as error:
            self._lost = True
            where = f"{self._writer.path} " if self._writer is not None else ""
            self.faults.append(f"the log {where}could not be written: {places.why(error)}")

    @contextlib.contextmanager
    def _surviving(self, what: str, done: str = "written") -> Iterator[None]:
        """Note what goes wrong, once, and go on. In a user's project warnings of libraries may be errors: not here."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except Exception as error:
            said = places.why(error) if isinstance(error, OSError) else fault_of_ours(error)
            fault = f"{what} could not be {done}: {said}"
            if fault not in self.faults:
                self.faults.append(fault)

    def _opened(self) -> log.LogWriter:
        if self._writer is None:
            with self._surviving("the header of the log"):
                self._environment = header.describe(self.run)
            by = self.run.recordings.digest if self.run.recordings is not None else ""
            resumed = self.run.resumed
            carried = resumed.records(self.run.settings.timeout) if resumed is not None else ()
            self._writer = log.LogWriter(self._path(), self._environment, self.run.settings.shard, by, carried)
        return self._writer

    def _path(self) -> Path:
        settings = self.run.settings
        if settings.log is not None:
            return settings.log
        name = time.strftime("%Y%m%d-%H%M%S") + f"-{os.getpid()}.jsonl"
        cache = getattr(self.run.config, "cache", None)
        with contextlib.suppress(OSError):
            folder = settings.cache / "logs" if cache is None else cache.mkdir("modelconform")
            for old in sorted(folder.glob("*.jsonl"))[: -_KEPT + 1]:
                old.unlink(missing_ok=True)
            if not places.fault_of_file(folder / name):
                return folder / name
        # A project that can't be written to, as in a container.
        return Path(tempfile.gettempdir()) / f"modelconform-{name}"


def _refuse_places(run: Run) -> None:
    settings = run.settings
    given = {"json": settings.json, "html": settings.html, "log": settings.log}
    files = {f"--modelconform-{name}": path for name, path in given.items() if path is not None}
    if fault := places.fault_of_any(files):
        raise pytest.UsageError(fault)
