"""What a step of a cell's way needs: where it failed, how long it may take, what an exporter made."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ..cache import disk
from ..cache.disk import DiskFull
from ..cache.made_once import BuildError
from ..environments import EnvironmentFault
from ..terms.outcome import NOT_TESTED, Outcome, Stage, Verdict
from ..terms.signature import Signature
from ..workers.loop import WorkerError
from .pool import AnyWorker, Pool
from .worker import (
    WorkerCrashed,
    WorkerLied,
    WorkerProblem,
    WorkerRefused,
    WorkerTimeout,
    is_unavailable,
    is_unsupported,
)

T = TypeVar("T")

VERDICT_OF: dict[type[WorkerProblem], Verdict] = {
    WorkerRefused: Verdict.ERROR,
    WorkerLied: Verdict.ERROR,
    WorkerCrashed: Verdict.CRASH,
    WorkerTimeout: Verdict.TIMEOUT,
}


def verdict_of(problem: WorkerProblem) -> Verdict:
    """What a worker's problem makes of a cell, whatever the stage."""
    return Verdict.OUT_OF_MEMORY if problem.exhausted else VERDICT_OF[type(problem)]


class StageFailure(Exception):
    """A cell came to an end before it could be compared."""

    def __init__(self, stage: Stage, verdict: Verdict, message: str) -> None:
        super().__init__(message)
        self.stage = stage
        self.verdict = verdict

    @property
    def is_of_disk(self) -> bool:
        """Whether nothing had room, which says nothing of the cell."""
        return str(self).startswith(NOT_TESTED)

    def outcome(self) -> Outcome:
        """As the outcome of a cell."""
        return Outcome(self.verdict, self.stage, str(self))


@dataclass(frozen=True)
class Artifact:
    """A case stored in a format.

    seconds: what the export took when it was made. size: in bytes; of a model that isn't stored, what it takes in
    memory. fresh: whether the case host that made it had done nothing before. files: hashes of the files that it was
    made from besides those of the case, by path, which its folder's name says nothing of.
    """

    folder: Path
    signature: Signature
    seconds: float
    size: int
    cached: bool
    fresh: bool
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Its file, or the one to begin with where it has several."""
        return self.folder / self.signature.file


class Budget:
    """Seconds that a cell's own work may still take. Waiting for locks, builds and other cells is not counted."""

    def __init__(self, seconds: float, pool: Pool) -> None:
        self.left = self.limit = seconds
        self.pool = pool
        # By what was asked, for the message of the one that had too little.
        self._spent: dict[str, float] = {}

    def ask(self, worker: AnyWorker, op: str, **fields: Any) -> dict[str, Any]:
        """Ask a worker, at most for as long as is left. Raises a WorkerProblem."""
        begin = time.monotonic()
        self.pool.last_op = op
        try:
            return worker.ask(op, max(self.left, 0.001), **fields)
        except WorkerTimeout as error:
            before = [f"{what} took {seconds:.0f} s" for what, seconds in self._spent.items() if seconds >= 1]
            said = f"{worker.name} gave no answer within {self.limit:.4g} s, of which {', '.join(before)}"
            raise WorkerTimeout(f"{said if before else error} (--modelconform-timeout)", error.details) from error
        except WorkerError as error:
            # Only a worker in this process raises these itself.
            raise WorkerRefused(error.kind, str(error), error.details, error.stage, worker.on_gpu) from error
        finally:
            seconds = time.monotonic() - begin
            self.left -= seconds
            self._spent[op] = self._spent.get(op, 0.0) + seconds


def start(start: Callable[[], AnyWorker]) -> AnyWorker:
    """A worker, or StageFailure at stage environment."""
    try:
        return start()
    except DiskFull as full:
        raise StageFailure(Stage.ENVIRONMENT, Verdict.ERROR, str(full)) from full
    except EnvironmentFault as fault:
        raise StageFailure(Stage.ENVIRONMENT, Verdict.ERROR, str(fault)) from fault
    except BuildError as error:
        raise StageFailure(Stage.ENVIRONMENT, Verdict.ERROR, f"the C++ harness can't be built: {error}") from error
    except WorkerProblem as problem:
        if is_unavailable(problem):
            raise StageFailure(Stage.ENVIRONMENT, Verdict.UNAVAILABLE, str(problem)) from problem
        verdict = verdict_of(problem)
        raise StageFailure(
            Stage.ENVIRONMENT, verdict, f"the runtime's process could not be started: {problem}"
        ) from problem


def kept(write: Callable[[], T]) -> T:
    """What writing to the cache returns, or StageFailure at stage environment where nothing has room."""
    try:
        return write()
    except DiskFull as full:
        raise StageFailure(Stage.ENVIRONMENT, Verdict.ERROR, str(full)) from full


def without_room(outcome: Outcome, folder: Path) -> Outcome:
    """An outcome, or that nothing is known where a worker failed since the disk of its files, in `folder`, is full."""
    if outcome.verdict not in (Verdict.ERROR, Verdict.CRASH) or outcome.stage not in (Stage.LOAD, Stage.RUN):
        return outcome
    if why := disk.fault(folder):
        said = f"the temporary folder {folder.parent} has no room ({why}). Free space, or set TMPDIR."
    elif why := disk.said(outcome.message):
        said = f"the runtime's process could not write a file ({why}). Free space on the disks of TMPDIR and /dev/shm."
    else:
        return outcome
    return Outcome(Verdict.ERROR, Stage.ENVIRONMENT, f"{NOT_TESTED}{said}")


def failure_of(problem: WorkerProblem, stage: Stage) -> StageFailure:
    """A worker's problem at a stage. The worker's own word on the stage counts where it gives one."""
    if isinstance(problem, WorkerRefused) and problem.stage:
        stage = Stage(problem.stage)
    # A case host that would need more memory than there is.
    verdict = Verdict.UNAVAILABLE if is_unavailable(problem) else verdict_of(problem)
    verdict = Verdict.UNSUPPORTED if is_unsupported(problem) else verdict
    return StageFailure(stage, verdict, str(problem))


def number(value: Any) -> float:
    """A number that a worker answered, or 0."""
    return float(value) if isinstance(value, (int, float)) else 0.0
