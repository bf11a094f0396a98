"""What a run does beside its cells: builds ahead, their order, their durations, and lines about what is under way.

All of it in one process of a session: the xdist controller, which is idle otherwise, or the only one.
"""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ..cache.made_once import join_session
from ..cells import needs
from ..cells.ahead import Ahead, Event
from ..cells.case_files import Declared, static_cases
from ..cells.needs import Need
from ..terms.cell import Cell
from ..terms.outcome import Verdict
from . import progress, units
from .items import STOOD, CellItem
from .run import Run

# Options with which some of the cells that the files tell of are not run.
_CHOOSING = ("keyword", "markexpr", "lf", "deselect", "ignore", "ignore_glob", "stepwise")
# Seconds that a unit is said to take which comes first.
_FIRST = 1e6
# Options with which the order of cells is the user's.
_ORDERED = ("failedfirst", "newfirst", "stepwise")


class AheadPlugin:
    """The hooks. They do nothing in xdist's workers, with --collect-only, and with --modelconform-inline."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.durations = run.durations
        self._is_off = run.is_xdist_worker or run.config.option.collectonly or run.settings.inline
        self._lacking = needs.Lacking()
        self._is_begun = False
        # What has been made since, or can't be; and cells that had to wait for it.
        self._made: set[str] = set()
        self._waited: set[str] = set()
        self._being_made: set[Need] = set()
        # Begun before collection, from what the files tell, and after it.
        self._ahead: list[Ahead] = []
        self._scheduling: Any = None
        self._under_way = progress.UnderWay(time.monotonic())
        self._teller: progress.Teller | None = None
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        join_session(run.machinery.place.session)

    # -- before collection -----------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """On an xdist controller: begin what all files together need, as far as their syntax tells.

        Meanwhile the other processes import them, which leaves cores idle at times.
        """
        if self._is_off or not self.run.is_controller:
            return
        # What goes wrong here is told when the files are collected.
        with contextlib.suppress(Exception):
            self._find(self._told())
            self._make(self._lacking.needs)

    def _told(self) -> Iterator[tuple[Cell, Declared]]:
        """The cells that the files have by their syntax; none where only some of them are run."""
        config, machinery = self.run.config, self.run.machinery
        chosen = any(config.getoption(name, None) for name in _CHOOSING) or machinery.settings.shard is not None
        if chosen or any("::" in argument for argument in config.args):
            return
        for argument in config.args:
            for path in units.collected(config, Path(config.invocation_params.dir, argument)):
                for case in static_cases(path):
                    if not case.missing():
                        cells = machinery.cells(machinery.relative(path), case)
                        yield from ((cell, case) for cell in cells if not self._has_run(cell))

    # -- after collection ------------------------------------------------------------------------------------------

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """In a session of one process: cells that wait for a build go last, all else keeps its order.

        Here, where nothing is deselected any more.
        """
        if self._is_off or self.run.is_controller:
            return
        items = session.items
        cells = (item for item in items if isinstance(item, CellItem) and not item.settled)
        self._find((item.cell, item.declared) for item in cells if not self._has_run(item.cell))
        by_cell = self._lacking.by_cell
        if by_cell and not any(session.config.getoption(name, None) for name in _ORDERED):
            items.sort(key=lambda item: item.nodeid in by_cell)
        self._begin()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        """On an xdist controller: as soon as the first process has collected."""
        if not self._is_off and not self._is_begun:
            self._find(self._cells(ids))
            self._begin()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """Keep the cells of one case and format together, the longest first; only for plain `-n`."""
        if config.getoption("dist") != "load":
            return None
        from .plan import Plan
        from .scheduler import CellScheduling

        def plan(items: Sequence[str]) -> Plan:
            # What was begun before collection may be there by now.
            waits = {
                node_id: left for node_id, names in self._lacking.by_cell.items() if (left := set(names) - self._made)
            }
            return Plan(items, self.seconds, waits)

        self._scheduling = CellScheduling(config, log, plan)
        return self._scheduling

    def _cells(self, ids: Sequence[str]) -> Iterable[tuple[Cell, Declared]]:
        """The cells of node ids, each with its case's framework, as far as the files tell that without being run."""
        declared: dict[str, Mapping[str, Declared]] = {}  # by file and name
        missing: dict[tuple[str, str], bool] = {}  # the same: asking for packages is slow next to 10,000 cells
        for node_id in ids:
            cell = self.run.machinery.cell_of(node_id)
            if cell is None or self._has_run(cell):
                continue
            if cell.file not in declared:
                found = static_cases(self.run.config.rootpath / cell.file)
                declared[cell.file] = {case.name: case for case in found}
            case = declared[cell.file].get(cell.case) or Declared(cell.case)
            key = cell.file, cell.case
            if key not in missing:
                missing[key] = bool(case.missing())
            if not missing[key]:
                yield cell, case

    def seconds(self, scope: str, items: Sequence[str], makes: bool = True) -> float:
        """What cells of a unit will take. Those that have run come first: it is soon known whether they stand."""
        if (resumed := self.run.resumed) is not None:
            cells = {item: self.run.machinery.cell_of(item) for item in items}
            left = [item for item, cell in cells.items() if cell not in resumed]
            if not left:
                return _FIRST
            return self.durations.of_unit(scope, left, makes and len(left) == len(items))
        return self.durations.of_unit(scope, items, makes)

    def _has_run(self, cell: Cell) -> bool:
        return self.run.resumed is not None and cell in self.run.resumed

    def _find(self, cells: Iterable[tuple[Cell, Declared]]) -> None:
        if self.run.cluster is not None:
            return  # What this machine lacks the nodes may have; they make it themselves.
        machinery = self.run.machinery
        self._lacking = needs.lacking(machinery.registry, machinery.settings.cache, cells)

    def _make(self, needs: Sequence[Need]) -> None:
        """Begin to make what is not being made yet."""
        if new := [need for need in needs if need not in self._being_made]:
            self._being_made.update(new)
            session = self.run.machinery.place.session
            self._ahead.append(Ahead(new, self.run.settings.cache, session, self._hear))

    def _begin(self) -> None:
        self._is_begun = True
        self._make(self._lacking.needs)
        if self.run.is_controller:
            self._teller = progress.Teller(self._under_way.overdue, self._write)
            self._teller.start()

    # -- while cells run -------------------------------------------------------------------------------------------

    def _hear(self, event: Event) -> None:
        """Take an event, in another thread: where items run in this process, pytest is capturing its output."""
        if event.ended:
            self._made.add(event.ended)
            if self._scheduling is not None:
                self._scheduling.made(event.ended)
        if self.run.is_controller:
            self._write(progress.said(event.text))
        else:
            self._events.put(event)

    def _write(self, text: str) -> None:
        reporter = self.run.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and self.run.config.option.verbose >= 0:
            progress.write_line(reporter, text)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Say what was built or installed meanwhile."""
        self._under_way.begin(nodeid, time.monotonic())
        if set(self._lacking.by_cell.get(nodeid, ())) - self._made:
            self._waited.add(nodeid)
        while not self._events.empty():
            progress.show(self.run.config, progress.said(self._events.get().text))

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """A cell has ended."""
        self._under_way.end(nodeid, time.monotonic())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what a cell took, unless it waited for a build: that happens once."""
        record = getattr(report, "modelconform", None)
        if self.run.is_xdist_worker or report.nodeid in self._waited or getattr(report, STOOD, False):
            return
        if record is not None and report.when == "call":
            if record["verdict"] == Verdict.UNAVAILABLE.value and self.durations.knows(report.nodeid):
                return  # What it takes where it runs is worth more.
            export = (record.get("seconds") or {}).get("export", 0.0)
            seconds = report.duration if record["duration"] is None else record["duration"]
            self.durations.note(report.nodeid, seconds, export, record.get("cached"), record["memory"])

    # -- at the end ------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """End what is still being built: nobody waits for it any more."""
        if self._teller is not None:
            self._teller.stop()
        for ahead in self._ahead:
            ahead.close()
        self.durations.save()

    @property
    def used(self) -> progress.Used | None:
        """How well the processes were used; None where this one divides no cells among others."""
        scheduling = self._scheduling
        if scheduling is None or not scheduling.busy:
            return None
        return progress.Used(scheduling.ended - scheduling.began, scheduling.numnodes, scheduling.busy)
