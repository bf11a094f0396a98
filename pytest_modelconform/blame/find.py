"""The operator that a cell fails at: the one entry to the search."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace

from ..cells.case_files import Declared
from ..cells.machinery import Machinery
from ..cells.stages import StageFailure
from ..cells.worker import WorkerProblem
from ..terms.blame import Blame
from ..terms.cell import CaseRef, Cell
from ..terms.exports import FILE
from ..terms.outcome import Outcome
from ..terms.program import SUBMODULES
from . import errors
from .failures import Progress, Whom
from .machine import Machine
from .mismatches import Mismatches
from .shown import with_example
from .trial import OutOfTime, Tried
from .whom import asked
from .wrong_modules import WrongModules

# Seconds that the search leaves for the case file that shows what it found.
_FOR_THE_CASE = 15.0


def find(
    machinery: Machinery,
    case: Declared,
    ref: CaseRef,
    cell: Cell,
    outcome: Outcome,
    seconds: float,
    progress: Callable[[str], None],
) -> Blame:
    """What a cell fails at; with a note where that isn't found. outcome: what it came to, a failure.

    seconds: how long the search may take. progress: shows a line. Whatever ends it, nothing is left behind.
    """
    begin = time.monotonic()
    if _is_own_file(machinery, case, ref, cell):
        return Blame(note="The artifact is a file of the case's own: there is no exporter that could be given a part.")
    with Machine(machinery, ref, cell, outcome, seconds) as machine:
        machine.reserved = min(_FOR_THE_CASE, seconds / 4)
        try:
            blame = _searched(machine, case, outcome, progress)
        except OutOfTime:
            blame = Blame(note="Time ended before the model was taken apart.")
        except (StageFailure, WorkerProblem) as problem:
            first = next(iter(str(problem).splitlines()), "")
            blame = Blame(note=f"The model could not be taken apart: {first}")
        machine.reserved = 0.0
        with contextlib.suppress(OutOfTime, StageFailure, WorkerProblem):
            blame = with_example(machine, case, blame, progress)
        return replace(blame, tries=machine.tries, seconds=time.monotonic() - begin)


def _is_own_file(machinery: Machinery, case: Declared, ref: CaseRef, cell: Cell) -> bool:
    """Whether what the cell runs, or is made from, was there already."""
    given = machinery.settings.exports
    columns = machinery.registry.made_through(cell.format, ref.framework, ref.own)
    return any(
        case.exports.get(column) == FILE or (column in given and given[column].export is not None) for column in columns
    )


def _searched(machine: Machine, case: Declared, outcome: Outcome, progress: Progress) -> Blame:
    whom = asked(machine, case, progress)
    if errors.is_searched(outcome):
        return errors.searched(machine, outcome, progress, whom)
    if machine.program.way == SUBMODULES:
        return _run(WrongModules(machine, outcome, progress, machine.program), whom)
    search = Mismatches(machine, outcome, progress)
    blame = _run(search, whom)
    if not search.of_module_only:
        return blame
    progress("right from its program; which submodule is wrong?")
    modules = _run(WrongModules(machine, outcome, progress, machine.submodules), whom)
    return replace(modules, note=f"{blame.note} {modules.note}".strip())


def _run(search: Mismatches | WrongModules, whom: Callable[[Tried], Whom]) -> Blame:
    try:
        search.run()
    except OutOfTime:
        search.end()
    for found in search.found:
        found.whom = whom(found.tried)
    return search.blame()
