"""Which part of a model an error, a crash or a hang needs: the smallest that fails alike as a case of its own."""

from __future__ import annotations

from dataclasses import replace

from ..terms.blame import Blame
from ..terms.outcome import Outcome
from ..terms.program import SUBMODULES
from .failing_modules import FailingModules, submodules_of
from .failing_operators import FailingOperators
from .failures import Progress, is_searched
from .trial import OutOfTime, Trials

__all__ = ["is_searched", "searched"]


def quiet(line: str) -> None:
    """For those who need no lines."""


def searched(trials: Trials, outcome: Outcome, progress: Progress = quiet) -> Blame:
    """What a cell fails at, for an outcome that `is_searched`. When time ends, what is known by then.

    outcome: the cell's own. progress: shows a line.
    """
    program = trials.program
    if program.way == SUBMODULES:
        return _run(FailingModules(trials, outcome, progress, program))
    search = FailingOperators(trials, outcome, progress)
    blame = _run(search)
    if not search.of_module_only:
        return blame
    progress("right from its program; which submodule fails?")
    modules = _run(FailingModules(trials, outcome, progress, submodules_of(program)))
    return replace(modules, note=f"{blame.note} {modules.note}".strip())


def _run(search: FailingModules | FailingOperators) -> Blame:
    try:
        search.run()
    except OutOfTime:
        search.end()
    return search.blame()
