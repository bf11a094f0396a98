"""Which part of a model an error, a crash or a hang needs: the smallest that fails alike as a case of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..terms.blame import Blame
from ..terms.outcome import Outcome
from ..terms.program import SUBMODULES
from .failing_modules import FailingModules
from .failing_operators import FailingOperators
from .failures import Progress, Whom, is_searched, party
from .stopped_capture import StoppedCapture, is_of_capture
from .trial import OutOfTime, Trials, Tried

__all__ = ["is_searched", "searched"]


def quiet(line: str) -> None:
    """For those who need no lines."""


def by_stage(tried: Tried) -> Whom:
    """Whom a part concerns as far as its stage tells."""
    return party(tried.outcome)


def searched(
    trials: Trials, outcome: Outcome, progress: Progress = quiet, whom: Callable[[Tried], Whom] = by_stage
) -> Blame:
    """What a cell fails at, for an outcome that `is_searched`. When time ends, what is known by then.

    outcome: the cell's own. progress: shows a line. whom: whom a part concerns that fails alone.
    """
    program = trials.program
    if program.stopped is not None and is_of_capture(program, outcome):
        return _run(StoppedCapture(trials, outcome, progress, program, program.stopped), whom)
    if program.way == SUBMODULES:
        return _run(FailingModules(trials, outcome, progress, program), whom)
    search = FailingOperators(trials, outcome, progress)
    blame = _run(search, whom)
    if not search.of_module:
        return blame
    progress("its program does not fail alike; which submodule does?")
    try:
        submodules = trials.submodules
    except OutOfTime:
        return blame
    modules = _run(FailingModules(trials, outcome, progress, submodules), whom)
    return replace(modules, note=f"{blame.note} {modules.note}".strip())


def _run(search: FailingModules | FailingOperators | StoppedCapture, whom: Callable[[Tried], Whom]) -> Blame:
    try:
        search.run()
    except OutOfTime:
        search.end()
    found = search.found if isinstance(search.found, list) else [search.found]
    for one in found:
        if one is not None:
            one.whom = whom(one.tried)
    return search.blame()
