"""From case files to pytest items."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ..cache.made_once import BuildError
from ..cells.case_files import Declared
from ..cells.room import Need
from ..expected import file as expected_file
from ..report.entries import title
from ..terms.cell import COLLECT, EAGER, CaseRef, Cell
from ..terms.exports import AT, base_of
from ..terms.outcome import REQUIRED, Outcome, Stage, Verdict
from . import slow
from .existing import existing
from .named import files_below
from .plan import scope_of
from .run import Run, run_of

# What a report is told by that its cell is as an earlier log has it.
STOOD = "modelconform_stood"
# Faults of an expected.toml that are listed.
_MOST_FAULTS = 10


class CaseFile(pytest.File):
    """A case file. Collecting it never raises: what is wrong with it is the verdict of an item."""

    def collect(self) -> Iterable[pytest.Item]:
        """The items of all cases in the file."""
        run = run_of(self.config)
        declaration = run.machinery.declare(self.path)
        relative = self.nodeid
        run.collected.files.add(self.path)
        if declaration.problem is not None:
            run.collected.is_faulty = True
            cell = Cell(relative, self.path.stem, COLLECT, COLLECT)
            yield CellItem.from_parent(self, name=cell.name, cell=cell, settled=declaration.problem)
            return
        for declared in declaration.cases:
            yield from self._items(run, relative, declared)

    def _items(self, run: Run, relative: str, declared: Declared) -> Iterator[pytest.Item]:
        if declared.fault:
            run.collected.is_faulty = True
            cell = Cell(relative, declared.name, COLLECT, COLLECT)
            settled = Outcome(Verdict.ERROR, Stage.COLLECT, declared.fault)
            yield CellItem.from_parent(self, name=cell.name, cell=cell, settled=settled)
            return
        missing = declared.missing()
        settled_all = (
            Outcome(Verdict.UNAVAILABLE, Stage.ENVIRONMENT, f"case {declared.name!r} {missing}") if missing else None
        )
        cells = run.machinery.cells(relative, declared)
        run.collected.cases.append(declared)
        run.collected.cells += cells
        if slow.TAG in declared.tags and not slow.are_wanted(self.config, self.path):
            cells, settled_all = slow.standing_for(cells), slow.SETTLED
        for cell in cells:
            item = CellItem.from_parent(
                self,
                name=cell.name,
                cell=cell,
                settled=settled_all,
                declared=declared,
            )
            for mark in (*markers(cell), *declared.tags):
                item.add_marker(run.marker(mark))
            yield item


def markers(cell: Cell) -> list[str]:
    """Names of a cell's markers."""
    task = f"task_{cell.task}"
    if cell.is_check:
        return [EAGER, f"dtype_{cell.dtype}", task]
    variant = cell.format.partition(AT)[2]
    return [
        f"format_{base_of(cell.format)}".replace("-", "_"),
        *([f"variant_{variant}".replace(".", "_")] if variant else []),
        f"runtime_{cell.runtime}".replace("-", "_"),
        f"device_{cell.device}".replace("-", "_"),
        f"dtype_{cell.dtype}",
        f"precision_{cell.precision}",
        task,
    ]


class CellFailed(Exception):
    """Ends a cell's test; what pytest shows of it is the outcome's text."""


class CellItem(pytest.Item):
    """One cell. Its outcome rides on the test report as a plain dict."""

    def __init__(
        self,
        *,
        cell: Cell,
        settled: Outcome | None = None,
        declared: Declared | None = None,
        **kwargs: Any,
    ) -> None:
        # Said rather than derived: pytest 9.2 tells an id that it parsed (--lf) from one that it put together.
        super().__init__(nodeid=cell.id, **kwargs)
        self.cell = cell
        self.settled = settled
        self.declared = declared or Declared(cell.case)
        self.outcome: Outcome | None = None
        # Whether that is what an earlier log says of it.
        self.stood = False
        # Seconds that it waited for memory.
        self.waited = 0.0

    def runtest(self) -> None:
        """Run the cell, judge it by expected.toml, and end as pytest's outcomes have it."""
        run = run_of(self.config)
        entry, source = run.expectation(self.path, self.name)
        error: Exception | None = None
        try:
            outcome = (
                self.settled
                or self._before(run)
                or self._run(run, lambda o: entry is not None and bool(_judged(o, entry, source)))
            )
        except pytest.fail.Exception as raised:
            # Of a plugin that ends what takes too long (pytest-timeout), whatever it was at.
            outcome = Outcome(Verdict.TIMEOUT, None, f"another plugin has ended it: {raised}")
        except Exception as raised:
            # A handler's, without worker processes, or a fault of ours: a debugger is to stop where this was raised.
            outcome, error = run.machinery.outcome_of_exception(raised), raised
        if outcome.verdict is Verdict.UNAVAILABLE and run.machinery.is_required(self.cell):
            outcome = replace(outcome, message=f"{outcome.message} {REQUIRED}")
            self.outcome = outcome
            raise CellFailed(outcome.message)
        outcome = run.judge(outcome, self.path, self.name, self.cell)
        self.outcome = outcome
        if outcome.expected:
            if self.config.option.runxfail:
                raise CellFailed(outcome.message)
            # Not pytest.xfail(): that does nothing under --runxfail, and the cell would show as passed.
            raise pytest.xfail.Exception(outcome.notes[-1])
        if outcome.expected is False:
            raise CellFailed(outcome.message)
        if outcome.failed:
            # A traceback is of use where a debugger stops, or where a handler runs in this process.
            stops = run.settings.inline or self.config.option.usepdb
            raise error if error and stops else CellFailed(outcome.message)
        if not outcome.passed:
            raise pytest.skip.Exception(outcome.message, _use_item_location=True)

    @property
    def ref(self) -> CaseRef:
        """Where its case is."""
        return CaseRef(
            self.path,
            self.cell.file,
            self.cell.case,
            self.cell.dtype,
            task=self.cell.reference_task,
            framework=self.declared.framework,
            operators=self.declared.own_operators,
            own=self.declared.own_columns,
        )

    def _before(self, run: Run) -> Outcome | None:
        """What an earlier log says of it, where that holds still."""
        if run.resumed is None or self.cell not in run.resumed:
            return None
        timeout = run.settings.timeout
        outcome = run.resumed.outcome(self.cell, timeout, lambda: self._made_of(run))
        self.stood = outcome is not None
        return outcome

    def _run(self, run: Run, expects: Callable[[Outcome], bool]) -> Outcome:
        ref, machinery = self.ref, run.machinery
        # A case host that can't be had is told of by the pipeline.
        with contextlib.suppress(BuildError):
            if fault := machinery.fault_of(self.path, self.cell.case):
                return fault
        pipeline, known = machinery.pipeline, run.durations
        begun = (lambda: pipeline.check(ref)) if self.cell.is_check else lambda: pipeline.run(ref, self.cell, expects)
        need = Need(known.memory_of_unit(scope_of(self.nodeid), [self.nodeid]), known.surely_takes(self.nodeid))
        try:
            outcome = machinery.room.run(self.cell, need, begun)
        finally:
            self.waited = machinery.room.waited
        if outcome.memory:
            known.saw(self.nodeid, outcome.memory)
        return outcome if outcome.is_silent else replace(outcome, made_of=self._made_of(run))

    def _made_of(self, run: Run) -> str:
        return run.machinery.exports.made_of(self.ref, self.cell, self.declared.exports)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The outcome's text rather than our own stack, for a failure that is a verdict."""
        if isinstance(excinfo.value, CellFailed) and self.outcome is not None:
            return f"{title(self.outcome)}: {excinfo.value}"
        if isinstance(excinfo.value, pytest.xfail.Exception):
            # Nobody reads where in our code it was raised, and pytest takes 0.1 s to find that out.
            return str(excinfo.value.msg)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the item comes from."""
        # A line number, since pytest needs one for the place of a skip.
        return self.path, 0, self.name


def _judged(outcome: Outcome, entry: expected_file.Entry, source: Path | None) -> bool:
    return bool(expected_file.judge(outcome, entry, source).expected)


class ExpectedFile(pytest.File):
    """An expected.toml beside case files."""

    def collect(self) -> Iterable[pytest.Item]:
        """One item that judges the file as a whole."""
        yield ExpectedItem.from_parent(self, name="entries")


def _shortened(lines: Sequence[str]) -> list[str]:
    """As many lines as are read; the last one, which is the remedy, stays."""
    left = len(lines) - _MOST_FAULTS
    return [*lines] if left <= 0 else [*lines[: _MOST_FAULTS - 1], f"… and {left} more", lines[-1]]


class ExpectedItem(pytest.Item):
    """Fails for entries that match no cell that can exist, or that overlap; whatever cells were selected."""

    def runtest(self) -> None:
        """Judge the entries against all case files below the folder x all registered names."""
        run = run_of(self.config)
        expectations = run.expectations(self.path)
        if isinstance(expectations, expected_file.ExpectedError):
            raise CellFailed(str(expectations))
        cells = existing(run.machinery, self.path.parent, files_below(run, self.path.parent))
        if run.settings.update_expected:
            # All else is settled at the end of this session.
            faults = expectations.overlaps(cells.ids)
        else:
            faults = expectations.check(cells.ids, cells.vague)
            if expectations.stale(cells.ids, cells.vague):
                command = run.update_command(self.path, self.name)
                faults.append(f"To remove the entries that match no cell, run: {command}")
        if faults:
            raise CellFailed(f"{self.path}:\n" + "\n".join(_shortened(faults)))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The faults, without our stack."""
        if isinstance(excinfo.value, CellFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)
