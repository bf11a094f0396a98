"""pytest's hooks in a run that is ours. Each hands on: to the machinery of cells, to `expected.toml`, to the log."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from _pytest.doctest import DoctestModule

from ..cache import spare, temporary
from ..cells.case_files import is_case_file, misnamed
from ..expected.file import NAME as EXPECTED
from ..report import junit
from ..terms.cell import COLLECT
from ..terms.outcome import STYLES, Outcome, Verdict
from ..terms.records import from_record, to_record
from . import header, progress
from .items import STOOD, CaseFile, CellItem, ExpectedFile
from .log import FOLLOW_ON, RunLog
from .named import speaks_for_cases
from .run import SESSION, Run

_FULL = "modelconform_full"
# What pytest_report_teststatus asks of a record, and may ask again in pytest's summary.
_SHOWN = ("verdict", "strict")


class SessionPlugin:
    """The hooks. On an xdist controller they only schedule and report; in its workers they run items."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.log = RunLog(run)
        self._faulty: list[pytest.Item] = []

    def pytest_sessionstart(self) -> None:
        """Remove what sessions that were killed have left in temporary folders."""
        if not self.run.is_xdist_worker:
            temporary.sweep(spare.places())

    # -- collection ------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, specname="pytest_collect_file")
    def pytest_collect_file_for_us_alone(
        self, file_path: Path
    ) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
        """Keep --doctest-modules off: it would import case files here, and end the run at what isn't installed."""
        collectors = yield
        is_ours = any(isinstance(one, CaseFile) for one in collectors)
        return [one for one in collectors if not (is_ours and isinstance(one, DoctestModule))]

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makemodule(self, module_path: Path, parent: pytest.Collector) -> CaseFile | None:
        """Keep pytest's Python plugin from importing a case file that was named on the command line."""
        is_ours = is_case_file(module_path) or misnamed(module_path)
        return CaseFile.from_parent(parent, path=module_path) if is_ours else None

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Collect case files, and the expectations beside them."""
        if file_path.name == EXPECTED and not parent.session.isinitpath(file_path.with_suffix(".py")):
            is_ours = speaks_for_cases(self.run.config, file_path)
            return ExpectedFile.from_parent(parent, path=file_path) if is_ours else None
        if file_path.suffix != ".py" or parent.session.isinitpath(file_path) or self._is_test_file(file_path):
            return None  # pytest's Python plugin asks pytest_pycollect_makemodule for these.
        return CaseFile.from_parent(parent, path=file_path) if is_case_file(file_path) else None

    def _is_test_file(self, path: Path) -> bool:
        patterns: Sequence[str] = [*self.run.config.getini("python_files"), "__init__.py"]
        return any(path.match(pattern) for pattern in patterns)

    @pytest.hookimpl(tryfirst=True, specname="pytest_collection_modifyitems")
    def pytest_collection_modifyitems_before_marks(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Take what can't be collected out of the way of `-m`: which marks its cells would have, nobody knows.

        `-k` and --deselect go by names, which it has.
        """
        if config.option.markexpr and not (config.option.keyword or config.option.deselect):
            self._faulty = [item for item in items if isinstance(item, CellItem) and item.cell.format == COLLECT]
            items[:] = [item for item in items if item not in self._faulty]

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Put that back, before shards split what is selected."""
        items += self._faulty

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note what will run, so that what does not can be told."""
        self.log.collected = {item.nodeid: item.cell for item in session.items if isinstance(item, CellItem)}

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        """As pytest_collection_finish, on an xdist controller."""
        for node_id in ids:
            if node_id in self.log.collected:
                continue  # the workers collect the same
            cell = self.run.machinery.cell_of(node_id)
            if cell is not None:
                self.log.collected[node_id] = cell

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell an xdist worker which session it is of, so that mismatches find each other."""
        node.workerinput[SESSION] = self.run.machinery.place.session

    # -- running ---------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Let a cell's outcome ride on its report, as one plain dict."""
        report = yield
        if self.run.is_xdist_worker and self.run.machinery.full:
            # Such a process has no terminal.
            report.modelconform_full = self.run.machinery.full  # type: ignore[attr-defined]
        if isinstance(item, CellItem) and call.when == "call" and item.outcome is not None:
            if item.stood:
                setattr(report, STOOD, True)
            # One that stood took what it took then.
            took = item.outcome.duration if item.stood else max(0.0, report.duration - item.waited)
            tagged = replace(item.outcome, tags=tuple(item.declared.tags), duration=took)
            report.modelconform = to_record(item.cell, tagged)  # type: ignore[attr-defined]
            if self.run.config.getoption("xmlpath", None):
                item.user_properties += junit.properties(item.cell, item.outcome)
        return report

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """Give the cell in which an xdist worker died its record."""
        cell = self.run.machinery.cell_of(crashitem)
        if cell is not None:
            lost = Outcome(Verdict.NOT_RUN, None, "lost: the pytest process that ran it died")
            report.modelconform = to_record(cell, lost)  # type: ignore[attr-defined]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, None, None]:
        """Write a finished cell to the log. pytest keeps all reports to its end: what rides on them is not kept so."""
        for said in () if self.run.is_xdist_worker else getattr(report, _FULL, ()):
            if said not in self.log.full:
                self.log.full.append(said)
                progress.show(self.run.config, said)
        record = getattr(report, "modelconform", None)
        if record is not None and not self.run.is_xdist_worker:
            self.log.record(*from_record(record), stood=getattr(report, STOOD, False))
        yield
        if record is not None:
            report.modelconform = {name: record[name] for name in _SHOWN}  # type: ignore[attr-defined]
        if report.nodeid in self.log.collected:
            # What comes from an xdist worker has texts of its own, and a cell has ten markers.
            report.keywords = {sys.intern(name): value for name, value in report.keywords.items()}

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """Forget what an item came to, which is on its report: the session keeps all items to its end."""
        if isinstance(item, CellItem):
            item.outcome = None

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """End the workers, whatever ended the session, and finish the log.

        A run whose reports could not be written is not green: whoever asked for them would miss them later.
        """
        # What is left of a process is no reason to lose the results.
        with contextlib.suppress(Exception):
            self.run.machinery.close(at_once=exitstatus == pytest.ExitCode.INTERRUPTED)
        if self.run.is_xdist_worker:
            session.config.workeroutput[_FULL] = self.run.machinery.full  # type: ignore[attr-defined]
            self.run.machinery.leave()
            return
        self.log.full += self.run.machinery.full
        is_whole = self.run.config.option.collectonly or self.log.finish()
        if not is_whole and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        self.run.machinery.leave()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """On an xdist controller: what its workers say of a full cache."""
        self.log.full += getattr(node, "workeroutput", {}).get(_FULL, ())

    # -- the terminal ----------------------------------------------------------------------------------------------

    def pytest_report_header(self) -> list[str]:
        """What will be tested, and which part of it is not here."""
        return header.lines(self.run)

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Show a failing cell's verdict as letter and word, and an imprecise one's; the rest is pytest's."""
        record = getattr(report, "modelconform", None)
        if record is None or report.when != "call" or report.skipped:
            return None
        verdict = Verdict(record["verdict"])
        letter, word = STYLES[verdict].letter, verdict.value.upper()
        if not report.failed:
            return ("passed", letter, word) if verdict is Verdict.IMPRECISE else None
        if self.log.is_follow_on(report.nodeid):
            # Counted apart, and not shown: what it follows from is.
            return FOLLOW_ON, letter, word
        if STYLES[verdict].outcome == "passed" and not record["strict"]:
            word = f"UNEXPECTED {word}"
        is_said = STYLES[verdict].outcome == "failed" or record["strict"]
        return "failed", letter if is_said else "F", word

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the matrix."""
        if not self.run.is_xdist_worker:
            self.log.summarise(terminalreporter)
