"""Runs parts of a cell's model by the machinery that ran the cell."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from ..cache import sessions, spare
from ..cache.store import Cache
from ..cells.attempt import Attempt
from ..cells.machinery import Machinery
from ..cells.pool import Pool
from ..cells.stages import Budget, StageFailure
from ..terms.cell import CaseRef, Cell
from ..terms.outcome import Outcome, Stage, Verdict
from ..terms.program import SUBMODULES, Operator, Part, Program
from .cases import NAME, text_of
from .trial import OutOfTime, Tried

# Failures at these stages say nothing of the format or the runtime: the part is no case.
_NOT_FIT = (Stage.COLLECT, Stage.BUILD, Stage.REFERENCE, Stage.ENVIRONMENT)
# Seconds after which a part hangs, where the cell does: it has taken longer than its whole limit.
_A_HANG = 10.0
# Of input sets, as reports have them.
_RED = ("mismatch", "imprecise", "error", "crash", "timeout", "out-of-memory")


class _Beside(Machinery):
    """A machinery with another one's workers, and a cache of its own."""

    def __init__(self, other: Machinery, folder: Path) -> None:
        settings = replace(
            other.settings, threads=(), threads_asked=False, strict=False, json=None, html=None, log=None
        )
        place = replace(other.place, root=folder, progress=_quiet, session=uuid.uuid4().hex)
        super().__init__(other.registry, settings, place, Cache(folder / "cache"))
        self._other = other
        # What is no part is none in a fresh process, either, which would cost seconds.
        self.pipeline.exports.again = False
        # A part that misses by little is not what a mismatch begins at, and looking twice takes the time of others.
        self.pipeline.tools.second_look.off = True

    @property
    def scratch(self) -> Path:
        """The other one's."""
        return self._other.scratch

    @property
    def pool(self) -> Pool:
        """The other one's."""
        return self._other.pool

    def close(self, at_once: bool = False) -> None:
        """Remove the working folder; the workers stay."""
        self.pipeline.close()
        spare.remove(self.cache.folder)
        sessions.leave(self.cache.folder)


def _quiet(line: str) -> None:
    pass


@dataclass(frozen=True)
class Known:
    """A program, with what the case host says besides.

    returned: the operators that the model's outputs come from, one an output. sets: the input sets that parts can be
    run on. exporter_set: the one that exporters see. results: how many tensors an operator's result is, if not one.
    static: whether all sizes are fixed, though the case's are not. constants: operators that depend on weights alone:
    these are inputs of a part that has nothing else.
    """

    program: Program
    returned: Sequence[str]
    sets: Sequence[str]
    exporter_set: str
    results: Mapping[str, int]
    static: bool
    constants: frozenset[str]


class Machine:
    """`Trials` by the ordinary way of a cell: each part is a case file in a temporary folder.

    seconds: what the search may take. A context: on leaving, the folder is removed.
    """

    def __init__(self, machinery: Machinery, ref: CaseRef, cell: Cell, outcome: Outcome, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        # Seconds that are for something else.
        self.reserved = 0.0
        self._folder = Path(tempfile.mkdtemp(prefix="search-", dir=machinery.scratch))
        self.machinery = _Beside(machinery, self._folder)
        self.ref = ref
        self.cell = cell
        self._sets = _red_sets(outcome)
        # Where nothing of the cell is a mismatch by its numbers alone, what is imprecise is what is looked for.
        self._close = outcome.verdict is Verdict.IMPRECISE or not _has_mismatch(outcome)
        # A failure to export may well be that of a size that varies.
        self._static_too = outcome.stage is not Stage.EXPORT
        self._hangs = outcome.stage if outcome.verdict is Verdict.TIMEOUT else None
        self._known: dict[str, Known] = {}
        self._tried: dict[tuple[Any, ...], Tried] = {}

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove what the parts left. Artifacts are code that a worker may have mapped: none is asked afterwards."""
        self.machinery.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def left(self) -> float:
        """The seconds that the search may still take."""
        return self._ends - self.reserved - time.monotonic()

    @property
    def tries(self) -> int:
        """How many parts were run."""
        return len(self._tried)

    @property
    def program(self) -> Program:
        """The model's operators. Raises StageFailure where the case host fails, and OutOfTime."""
        return self.known.program

    @property
    def known(self) -> Known:
        """The program, with what the case host says besides. Raises as `program`."""
        return self.known_by("")

    @property
    def submodules(self) -> Program:
        """The model's submodules, also where it has a program. Raises as `program`."""
        return self.known_by(SUBMODULES).program

    def known_by(self, way: str) -> Known:
        """The model, taken apart in a way; "": by its operators, if it can be. Raises as `program`."""
        if way not in self._known:
            answer = self.machinery.pipeline.exports.program(self.ref, self._budget(), way, self._static_too)
            operators = tuple(Operator(**_tuples(fields)) for fields in answer.operators)
            program = Program(
                operators=operators,
                way=answer.way,
                problem=answer.problem,
                parents=answer.parents,
                stopped=Operator(**_tuples(answer.stopped)) if answer.stopped else None,
            )
            known = Known(
                program=program,
                returned=answer.returned,
                sets=answer.sets,
                exporter_set=answer.exporter_set,
                results=answer.results,
                static=answer.static,
                constants=frozenset(answer.constants),
            )
            self._known |= {way: known, answer.way: known}
        return self._known[way]

    def tried(self, part: Part) -> Tried:
        """Run a part in the cell's format, runtime, device, dtype and precision. Raises OutOfTime."""
        key = (part.operators, part.outputs, part.fixed, part.way)
        if key not in self._tried:
            budget = self._budget()
            begin = time.monotonic()
            found = self._run(part, budget)
            self._tried[key] = replace(found, seconds=time.monotonic() - begin)
        return self._tried[key]

    def _budget(self) -> Budget:
        left = self.left()
        if left <= 0:
            raise OutOfTime
        return Budget(min(left, self.machinery.settings.timeout), self.machinery.pool)

    def _run(self, part: Part, budget: Budget) -> Tried:
        known = self.known_by(part.way)
        outputs = self._outputs(part, known)
        given = {"static": True} if known.static and part.way != SUBMODULES else {}
        file = self._folder / f"part_{len(self._tried):03}.py"
        file.write_text(text_of(self.ref, part, outputs, [s for s in self._sets if s in known.sets], given))
        ref = replace(self.ref, file=file, relative=file.name, name=NAME)
        cell = replace(self.cell, file=file.name, case=NAME)
        attempt = Attempt.of(self.machinery.pipeline.tools, ref, cell, _expected)
        attempt = replace(attempt, budget=budget, trusted=True)
        if self._hangs is not None:
            attempt = self._until_it_hangs(attempt, self._hangs)
        outcome = attempt.tried().outcome
        fit = outcome.stage not in _NOT_FIT and outcome.verdict not in (Verdict.UNAVAILABLE, Verdict.UNSUPPORTED)
        if self.left() <= 0 and (outcome.verdict is Verdict.TIMEOUT or not fit):
            raise OutOfTime
        return Tried(outcome=outcome, red=self._red(outcome, outputs, known), fit=fit, file=file)

    def _until_it_hangs(self, attempt: Attempt, stage: Stage) -> Attempt:
        """An attempt that has come to the stage at which the cell hangs, with less time from there on than a cell has.

        Raises OutOfTime where too little is left to tell what hangs from what is slow.
        """
        with contextlib.suppress(StageFailure):
            prepared = attempt.prepare()
            if stage is not Stage.EXPORT:
                attempt.export(prepared)
        limit = min(_A_HANG, self.machinery.settings.timeout)
        if self.left() < limit:
            raise OutOfTime
        return replace(attempt, budget=Budget(limit, self.machinery.pool))

    def _outputs(self, part: Part, known: Known) -> Sequence[str]:
        """The operators whose results a part returns, in order."""
        if not part.operators or part.way == SUBMODULES:
            return part.operators
        inside = set(part.operators)
        needed = set(known.returned)
        for operator in known.program.operators:
            needed.update(operator.takes if operator.name not in inside else ())
        found = part.outputs or [name for name in part.operators if name in needed]
        if inside <= known.constants:
            return found
        return [name for name in found if name not in known.constants]

    def _red(self, outcome: Outcome, outputs: Sequence[str], known: Known) -> dict[str, bool]:
        """Whether the result of each operator that is an output is wrong, in some input set."""
        # Of the whole model, each output is there by itself.
        leaves = [name for name in outputs for _ in range(known.results.get(name, 1))] or list(known.returned)
        found: dict[str, bool] = {}
        for entry in outcome.inputs.values():
            compared = list((entry.get("outputs") or {}).values())
            if len(compared) != len(leaves):
                continue
            for name, about in zip(leaves, compared, strict=True):
                wrong = about.get("wrong")
                is_red = wrong == "mismatch" or (wrong == "imprecise" and self._close)
                found[name] = found.get(name, False) or is_red
        return found


def _expected(outcome: Outcome) -> bool:
    """No part is tried twice: it says what it is in the process that runs it."""
    return True


def _red_sets(outcome: Outcome) -> list[str]:
    """The input set that parts are run on beside the exporters' one: one that fails as the cell does, else another."""
    red = {name: entry["verdict"] for name, entry in outcome.inputs.items() if entry.get("verdict") in _RED}
    return sorted(red, key=lambda name: red[name] != outcome.verdict.value)[:1]


def _has_mismatch(outcome: Outcome) -> bool:
    outputs = [about for entry in outcome.inputs.values() for about in (entry.get("outputs") or {}).values()]
    return any(about.get("wrong") == "mismatch" for about in outputs) or not outputs


def _tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
