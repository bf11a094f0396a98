"""The operator that a cell fails at: the one entry to the search."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from ..cells.case_files import Declared
from ..cells.machinery import Machinery
from ..cells.stages import StageFailure
from ..cells.worker import WorkerProblem
from ..terms.blame import Blame
from ..terms.cell import CaseRef, Cell
from ..terms.outcome import Outcome
from . import errors
from .failures import Progress
from .machine import Machine
from .mismatches import Mismatches
from .trial import OutOfTime, Trials


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
    with Machine(machinery, ref, cell, outcome, seconds) as machine:
        try:
            blame = _searched(machine, outcome, progress)
        except OutOfTime:
            blame = Blame(note="Time ended before the model was taken apart.")
        except (StageFailure, WorkerProblem) as problem:
            first = next(iter(str(problem).splitlines()), "")
            blame = Blame(note=f"The model could not be taken apart: {first}")
        return replace(blame, tries=machine.tries, seconds=time.monotonic() - begin)


def _searched(trials: Trials, outcome: Outcome, progress: Progress) -> Blame:
    if errors.is_searched(outcome):
        return errors.searched(trials, outcome, progress)
    search = Mismatches(trials, progress)
    try:
        search.run()
    except OutOfTime:
        search.end()
    return search.blame()
