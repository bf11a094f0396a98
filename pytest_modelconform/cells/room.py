"""A cell's place in memory: it waits until what it needs is there, and has all of it where that was not enough.

What a cell needs is estimated before it begins, from what was recorded (`plugin/durations.py`). Where nothing is known
of a case, a step that is too large for what is free is told when it is about to begin (`terms/memory.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

from ..cache.reservations import Reservations
from ..terms import memory
from ..terms.cell import Cell
from ..terms.outcome import Outcome, Stage, Verdict
from .pool import Pool


@dataclass(frozen=True)
class Need:
    """Bytes that a cell takes: as estimated, and as it was seen to take; 0 where it never ran."""

    estimated: int
    recorded: int = 0


class Room:
    """Runs cells one after another, each where there is room for it.

    pool: the workers, which may not be there yet. forget: has what failed of a case tried again. progress: shows a line
    where a cell waits. waited: seconds that the last cell waited.
    """

    def __init__(
        self,
        reservations: Reservations,
        pool: Callable[[], Pool | None],
        forget: Callable[[], None],
        progress: Callable[[str], None],
    ) -> None:
        self.waited = 0.0
        self._reservations = reservations
        self._pool = pool
        self._forget = forget
        self._progress = progress
        # What has had all of the memory: more there is not.
        self._tried: set[Hashable] = set()

    def run(self, cell: Cell, need: Need, run: Callable[[], Outcome]) -> Outcome:
        """What a cell comes to. Nothing is begun that took more, when it was recorded, than there is."""
        self.waited = 0.0
        if self._reservations.is_off:
            return run()
        total = self._reservations.memory().total if need.recorded else 0
        if need.recorded > total:
            said = memory.never(need.recorded, total)
            return Outcome(Verdict.UNAVAILABLE, Stage.ENVIRONMENT, said)
        outcome = self._run_with(cell, need.estimated, run)
        key = _what(cell, outcome.stage)
        if not memory.was_too_little(outcome) or key in self._tried:
            return outcome
        self._tried.add(key)
        return self._alone(cell, outcome, run)

    def _alone(self, cell: Cell, was: Outcome, run: Callable[[], Outcome]) -> Outcome:
        """The cell once more, by fresh workers and with nothing beside it that is ours."""
        self._end_workers()
        self._forget()
        before = self.waited
        outcome = self._run_with(cell, self._reservations.memory().total, run)
        self.waited += before
        if memory.was_too_little(outcome):
            said = "It was tried once more, with no other cell beside it."
            return replace(outcome, message=f"{outcome.message}\n{said}")
        first = was.message.partition("\n")[0]
        note = f"it ran with no other cell beside it, since the memory was not enough before: {first}"
        return replace(outcome, notes=(*outcome.notes, note))

    def _run_with(self, cell: Cell, size: int, run: Callable[[], Outcome]) -> Outcome:
        def say() -> None:
            # While it waits, others may need what its process has.
            self._end_workers()
            self._progress(f"{cell.id} waits for memory: other cells run, and it takes about {memory.gb(size)}")

        pool = self._pool()
        self.waited = self._reservations.take(size, pool.resident if pool is not None else lambda: 0, say)
        if pool is not None and self._reservations.leans_on_own:
            pool.end_others(cell.runtime, cell.device)
        try:
            return run()
        finally:
            self._reservations.free()

    def _end_workers(self) -> None:
        if (pool := self._pool()) is not None:
            pool.close()


def _what(cell: Cell, stage: Stage | None) -> Hashable:
    """What of a cell had too little memory, so that other cells that need the same don't try it again."""
    case = (cell.file, cell.case, cell.dtype, cell.task, stage)
    return case if stage in (Stage.BUILD, Stage.REFERENCE) else (*case, cell.format, cell.runtime, cell.device)
