"""Failures as a reader wants them: one entry for what has one cause, however many cells it shows in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..terms.blame import Blame
from ..terms.cell import Cell
from ..terms.outcome import Outcome, Stage
from .guilty import blame_of
from .matrix import Matrix, check_of, is_blocked

# What these fail at is the same for all cells of a case file, or of a whole run.
_OF_A_FILE, _OF_A_RUN = (Stage.COLLECT,), (Stage.ENVIRONMENT,)
# What fails here has not come to a runtime of its own.
BEFORE_RUNTIMES = (Stage.COLLECT, Stage.BUILD, Stage.REFERENCE, Stage.EXPORT)


@dataclass(frozen=True)
class Entry:
    """A failure. cell: the first one with it. also: the others with the same verdict, stage and message.

    following: how many cells fail only since this one, a model check, does.
    """

    cell: Cell
    outcome: Outcome
    also: Sequence[Cell] = ()
    following: int = 0

    @property
    def blame(self) -> Blame | None:
        """Which operator it is that they fail at; None where nobody looked."""
        return blame_of(self.outcome)


def title(outcome: Outcome) -> str:
    """What a cell came to, in words: `mismatch at stage compare`, `UNEXPECTED PASS`."""
    if outcome.expected is False and outcome.passed:
        return f"UNEXPECTED {outcome.verdict.value.upper()}"
    stage = f" at stage {outcome.stage.value}" if outcome.stage else ""
    return f"{outcome.verdict.value}{stage}"


def entries(matrix: Matrix) -> list[Entry]:
    """All failures of a matrix, in its order."""
    found: dict[tuple[object, ...], list[tuple[Cell, Outcome]]] = {}
    for cell, outcome in matrix.failures:
        found.setdefault(cause(cell, outcome), []).append((cell, outcome))
    following: dict[Cell, int] = {}
    shown = {cell for cell, _ in matrix.failures}
    for row in matrix.rows:
        for cell, outcome in row.cells.values():
            if cell not in shown and is_blocked(cell, outcome):
                check = check_of(cell)
                # That of steps may fail only since that of single calls does.
                check = check if check in shown else check_of(check)
                following[check] = following.get(check, 0) + 1
    return [
        Entry(cell, outcome, [other for other, _ in others], following.get(cell, 0))
        for (cell, outcome), *others in found.values()
    ]


def cause(cell: Cell, outcome: Outcome) -> tuple[object, ...]:
    """What two cells have in common whose failures are one."""
    said = (outcome.verdict, outcome.stage, outcome.expected, outcome.message)
    if outcome.stage in _OF_A_RUN:  # a runtime that does not start
        return said
    return (*said, cell.file) if outcome.stage in _OF_A_FILE else (*said, cell.file, cell.case)
