"""Which operators red cells fail at: looked for by processes that have nothing left to run, so that no cell waits.

Each process leaves the red cells that it sees in a folder that the session's processes share. One that has run all of
its own searches in them, one after another. The process that writes the log says what is looked for, and what came of
it.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ..blame.sought import is_sought
from ..blame.waiting import Red, Waiting
from ..report.guilty import headline
from ..report.plural import counted
from ..terms.blame import Blame
from ..terms.wording import fault_of_ours
from . import progress
from .blame_option import IN_ALL, NAME
from .items import CellItem
from .run import Run

if TYPE_CHECKING:
    from .log import RunLog

# Seconds between looks at what other processes have come to.
_LOOK = 0.5
# The same, for one that has nothing to do: the end of a run waits for it.
_WAIT = 0.05
# Below what runs cells still.
_NICE = 5


class BlamePlugin:
    """The hooks. They do nothing with --modelconform-inline and --collect-only, and after a run that was ended."""

    def __init__(self, run: Run, log: RunLog) -> None:
        self.run, self.log = run, log
        self.waiting = Waiting(run.machinery.scratch / "blame")
        option = run.config.option
        # Whoever asks for the first failure wants it at once.
        ends_early = option.maxfail and not run.settings.blame_asked
        stops = run.settings.inline or option.collectonly or run.config.getoption("usepdb", False) or ends_early
        self.is_off = not run.settings.blame or bool(stops)
        self._teller: _Teller | None = None
        # By id, the files of this process's red cells.
        self._files: dict[str, Path] = {}

    # -- while cells run -------------------------------------------------------------------------------------------

    def pytest_collection_finish(self) -> None:
        """Tell the other processes of xdist that this one runs cells."""
        if not self.is_off and self.run.is_xdist_worker:
            with contextlib.suppress(OSError):
                self.waiting.enter()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Leave a cell that is not as expected for whoever has nothing to run."""
        report = yield
        if not self.is_off and isinstance(item, CellItem) and call.when == "call" and item.outcome is not None:
            # What a disk does is no reason to lose a verdict.
            with contextlib.suppress(OSError):
                self._leave(Red(item.cell, item.ref, item.outcome))
        return report

    def _leave(self, red: Red) -> None:
        # Other plugins run what fails once more.
        if (file := self._files.pop(red.cell.id, None)) is not None:
            file.unlink(missing_ok=True)
        if is_sought(self.run.machinery.registry, red.ref, red.cell, red.outcome):
            self._files[red.cell.id] = self.waiting.leave(red)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """On an xdist controller: say what its processes look for. Ctrl-C then ends that, and not the run."""
        # What nodes of a cluster look for is told at the end.
        if self.is_off or not self.run.is_controller or self.run.cluster is not None:
            return (yield)
        self._teller = _Teller(self.waiting, lambda count: self._looks(count) if self._is_over() else "", self._write)
        self._teller.start()
        try:
            return (yield)
        except KeyboardInterrupt:
            if not self._is_over():
                raise
            self._write(_ENDED)
            return True
        finally:
            self._teller.stop()

    def _is_over(self) -> bool:
        """Whether all cells have run, as far as an xdist controller knows."""
        session: Any = self.run.config.pluginmanager.get_plugin("dsession")
        return session.sched is not None and session.sched.tests_finished and not session.sched.has_pending

    # -- once nothing is left to run -------------------------------------------------------------------------------

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Search, where this process runs cells; write down what was found, where it has the log."""
        if self.is_off:
            return
        is_ended = exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) or bool(session.shouldstop)
        if self.run.is_xdist_worker:
            with contextlib.suppress(OSError):
                self.waiting.finish()
        if not self.run.is_controller and not is_ended:
            try:
                # The folder may be gone: the controller removes it where Ctrl-C reached it alone.
                self.run.is_searching = True
                with contextlib.suppress(OSError):
                    self._search()
            except KeyboardInterrupt:
                if not self.run.is_xdist_worker:
                    self._say(_ENDED)
            finally:
                self.run.is_searching = False
        if not self.run.is_xdist_worker:
            try:
                self._write_down(is_ended)
            except Exception as error:
                self.log.faults.append(f"the guilty operators could not be read: {fault_of_ours(error)}")

    def _left(self, begin: float) -> float:
        """Seconds that may be spent in all. As long as other processes run cells, nobody waits for this one."""
        if self.run.settings.blame_asked or self.waiting.others_run():
            return float("inf")
        return IN_ALL - (time.time() - max(begin, self.waiting.finished))

    def _next(self) -> Red | None:
        """A cell to search in. Where other processes run cells, one may come."""
        while (red := self.waiting.claim()) is None and self.waiting.others_run():
            if "pool" in self.run.machinery.__dict__:
                # Memory that others may need.
                self.run.machinery.pool.close()
            time.sleep(_WAIT)
        return red or self.waiting.claim()

    def _give_way(self) -> None:
        """To processes that run cells still."""
        niceness = os.nice(_NICE)
        if "pool" in self.run.machinery.__dict__:
            self.run.machinery.pool.give_way(niceness)

    def _search(self) -> None:
        settings = self.run.settings
        is_alone = not self.run.is_xdist_worker
        if is_alone and (count := len(self.waiting.left)):
            self._say(self._looks(count))
        if self.run.is_xdist_worker:
            self._give_way()
        begin = time.time()
        while self._left(begin) > 1 and (red := self._next()) is not None:
            blame = _found(self.run, red, min(settings.blame, self._left(begin)))
            self.waiting.end(red, blame)
            if is_alone:
                self._say(_said(red.cell.id, blame))

    def _write_down(self, is_ended: bool) -> None:
        for cell, blame in self.waiting.found():
            self.log.blame(cell, blame)
        if (left := self.waiting.left) and not is_ended:
            self.log.remarks.append(
                f"The guilty operators of {counted(len(left), 'other failure')} were not looked for: {NAME} does, and "
                f"so does modelconform blame '{left[0].id}'."
            )
        self.waiting.remove()

    def _looks(self, count: int) -> str:
        settings = self.run.settings
        operators = "operator that 1 failure begins" if count == 1 else f"operators that {count} failures begin"
        in_all = "" if settings.blame_asked else f" and {IN_ALL:.0f} s in all"
        return f"looking for the {operators} at, for {settings.blame:.0f} s each{in_all} (Ctrl-C ends that)"

    def _say(self, text: str) -> None:
        progress.show(self.run.config, progress.said(text))

    def _write(self, text: str) -> None:
        reporter = self.run.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and self.run.config.option.verbose >= 0:
            progress.write_line(reporter, progress.said(text))


_ENDED = "the search for guilty operators was ended; what was found until then is below"


def _said(cell: str, blame: Blame) -> str:
    return f"{cell}: {headline(blame)} ({blame.seconds:.0f} s)"


def _silent(text: str) -> None:
    """Of a search in a run only its end is told."""


def _found(run: Run, red: Red, seconds: float) -> Blame:
    """What a search comes to. What goes wrong with it is no reason to lose the results."""
    machinery = run.machinery
    # Here, since few runs have a red cell.
    from ..blame import find

    begin = time.monotonic()
    try:
        cases = machinery.declare(red.ref.file).cases
        case = next(declared for declared in cases if declared.name == red.cell.case)
        found = find.find(machinery, case, red.ref, red.cell, red.outcome, seconds, _silent)
        return _below(found, run.config.rootpath)
    except Exception as error:
        return Blame(note=f"the search failed: {fault_of_ours(error)}", seconds=time.monotonic() - begin)


def _below(blame: Blame, root: Path) -> Blame:
    """With files named as cells name theirs: reports go to other machines."""

    def relative(file: str) -> str:
        return Path(file).relative_to(root).as_posix() if file and root in Path(file).parents else file

    guilty = [
        replace(one, operators=tuple(replace(each, file=relative(each.file)) for each in one.operators))
        for one in blame.guilty
    ]
    return replace(blame, guilty=tuple(guilty))


class _Teller(threading.Thread):
    """Says on an xdist controller what its processes look for, and what they find.

    looks: what to say of so many searches that have not ended, once all cells have run; "" before.
    """

    def __init__(self, waiting: Waiting, looks: Callable[[int], str], say: Callable[[str], None]) -> None:
        super().__init__(name="modelconform-blame", daemon=True)
        self._waiting, self._looks, self._say = waiting, looks, say
        self._stopped = threading.Event()
        self._told: set[tuple[str, bool]] = set()
        self._told_of_end = False

    def run(self) -> None:
        """Look twice a second."""
        while not self._stopped.wait(_LOOK):
            # It may be written to or removed at this moment.
            with contextlib.suppress(OSError, ValueError, AssertionError):
                self._look()

    def _look(self) -> None:
        begun = self._waiting.begun()
        count = len(self._waiting.left) + sum(blame is None for blame in begun.values())
        if begun and count and not self._told_of_end and (text := self._looks(count)):
            self._told_of_end = True
            self._say(text)
        for cell, blame in begun.items():
            if blame is not None and (cell.id, True) not in self._told:
                self._told.add((cell.id, True))
                self._say(_said(cell.id, blame))

    def stop(self) -> None:
        """Say no more."""
        self._stopped.set()
        self.join()
