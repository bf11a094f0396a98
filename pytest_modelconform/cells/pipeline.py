"""A cell from start to end: is its runtime there, one attempt or two, and why it is a mismatch; and the model check."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from ..advice.table import advised
from ..cache import temporary
from ..cache.store import Cache
from ..formats import base as format_base
from ..references import training
from ..references.content import Content, Inference
from ..references.from_runs import eager_numbers
from ..terms import devices, exhausted
from ..terms.case import TORCH
from ..terms.cell import INFERENCE, SEQUENCE, TRAINING, CaseRef, Cell
from ..terms.exports import Given
from ..terms.outcome import NOT_FIT, Outcome, Stage, Verdict
from ..terms.wording import fitting
from .answers import SetResult, merge
from .attempt import Attempt, Expects, Tried
from .case_host import Exports
from .concurrency import AtOnce, failed_at_once
from .diagnosing import Diagnosis, Evidence
from .loading import Tools
from .pool import Pool
from .registry import Registry
from .second_look import SecondLook
from .stages import StageFailure, without_room
from .witnesses import Witnesses


def _at_worst(outcome: Outcome) -> Outcome:
    """What an outcome may still become: what is imprecise has not been diagnosed yet."""
    return replace(outcome, verdict=Verdict.MISMATCH) if outcome.verdict is Verdict.IMPRECISE else outcome


def _of_case(outcome: Outcome, ref: CaseRef) -> Outcome:
    """What is wrong with a case, with its name, and as far as anybody reads it: torch's messages may take 60 lines."""
    named = repr(ref.name) in outcome.message or outcome.stage is Stage.ENVIRONMENT
    return replace(outcome, message=fitting(outcome.message if named else f"case {ref.name!r}: {outcome.message}"))


def nothing_is_expected(outcome: Outcome) -> bool:
    """For cells of which nothing is recorded."""
    return False


class Pipeline:
    """Runs cells. tools: what it works with, for commands that take single steps. strict: what is imprecise fails.

    exports: options for exporters, by column.
    """

    def __init__(
        self,
        registry: Registry,
        cache: Cache,
        pool: Pool,
        timeout: float,
        threads: Sequence[int] = (),
        threads_asked: bool = False,
        strict: bool = False,
        witnesses: Witnesses | None = None,
        exports: Mapping[str, Given] = MappingProxyType({}),
        scratch: Path | None = None,
    ) -> None:
        self.registry = registry
        self.strict = strict
        self.pool = pool
        self.exports = Exports(registry, cache, pool, timeout, exports)
        folder = Path(tempfile.mkdtemp(prefix=temporary.PREFIX, dir=scratch))
        at_once = AtOnce(registry, threads, folder, threads_asked, cache)
        self.tools = Tools(registry, pool, self.exports, at_once, timeout, folder, SecondLook(self.exports, folder))
        self._witnesses = witnesses
        self._diagnosis = Diagnosis(self.exports, folder)

    def close(self) -> None:
        """Remove the working folder."""
        shutil.rmtree(self.tools.folder, ignore_errors=True)

    # -- the model check -------------------------------------------------------------------------------------------

    def check(self, ref: CaseRef) -> Outcome:
        """The cell `case[eager]`: is there something to compare with?"""
        self.pool.meter.begin()
        return replace(self._checked(ref), memory=self.pool.meter.most)

    def _checked(self, ref: CaseRef) -> Outcome:
        self.pool.begin()
        try:
            if ref.task == SEQUENCE:
                self._check_single_calls(replace(ref, task=INFERENCE))
            prepared = self.exports.prepare(ref, self.tools.budget())
        except StageFailure as failure:
            return _of_case(advised(failure.outcome(), ref.framework), ref)
        numbers = []
        results: dict[str, SetResult] = {}
        said = training.eager_numbers if ref.task == TRAINING else eager_numbers
        for name, entry in prepared.sets.items():
            found = [said(reference) for reference in entry.references.values()]
            numbers += found
            results[name] = SetResult(Verdict.PASS, numbers=merge(found))
        seconds = {"run": sum(entry.seconds for entry in prepared.content.sets.values())}
        return Outcome(
            Verdict.PASS,
            inputs={name: result.to_json() for name, result in results.items()},
            seconds=seconds,
            cached=prepared.cached,
            notes=tuple(prepared.content.notes),
            sees=_sees(prepared.content),
            **merge(numbers),
        )

    def _check_single_calls(self, ref: CaseRef) -> None:
        """Steps are calls: what is wrong with a single one is wrong with them. Raises StageFailure."""
        try:
            self.exports.prepare(ref, self.tools.budget())
        except StageFailure as failure:
            if (
                failure.stage not in (Stage.REFERENCE, Stage.BUILD, Stage.COLLECT)
                or failure.verdict is not Verdict.ERROR
            ):
                raise
            said = f"{NOT_FIT}, see {ref.check}: {str(failure).splitlines()[0]}"
            raise StageFailure(Stage.REFERENCE, Verdict.ERROR, said) from failure

    # -- a cell ----------------------------------------------------------------------------------------------------

    def unavailable(self, cell: Cell, framework: str = TORCH, own: Collection[str] = ()) -> str | None:
        """None if a cell's format and runtime are there, else what to do.

        framework: the case's. own: columns that it makes itself.
        """
        runs_on = devices.route(cell.device).runs_on
        reason = self.registry.runtime(cell.runtime).unavailable(runs_on) or devices.lacking(cell.device)
        if reason:
            return (
                f"runtime {cell.runtime} {reason}"
                if reason.startswith("needs ")
                else f"runtime {cell.runtime}: {reason}"
            )
        return self._format_unavailable(cell, framework, own)

    def _format_unavailable(self, cell: Cell, framework: str, own: Collection[str]) -> str | None:
        for name in self.registry.made_through(cell.format, framework, own):
            if reason := format_base.unavailable(self.registry.format(name)):
                return f"format {name} {reason}"
        return None

    def run(self, ref: CaseRef, cell: Cell, expects: Expects = nothing_is_expected) -> Outcome:
        """The outcome of a cell. `expects` says whether a failure is the recorded one: it is then not tried again."""
        self.pool.meter.begin()
        outcome = advised(self._run(ref, cell, expects), ref.framework)
        return replace(outcome, memory=self.pool.meter.most)

    def _run(self, ref: CaseRef, cell: Cell, expects: Expects) -> Outcome:
        if reason := self.unavailable(cell, ref.framework, ref.own):
            exports_anyway = self.registry.runtime(cell.runtime).EXPORTS_ANYWAY
            if exports_anyway and not self._format_unavailable(cell, ref.framework, ref.own):
                return Attempt.of(self.tools, ref, cell, expects).exported_only(reason)
            return Outcome(Verdict.UNAVAILABLE, Stage.ENVIRONMENT, reason)
        tried = self._tried(ref, cell, lambda found: expects(found) or expects(_at_worst(found)))
        outcome = tried.outcome
        if self._witnesses is not None and tried.evidence is not None and tried.evidence.runs:
            # What goes wrong here is no reason to lose a verdict.
            with contextlib.suppress(Exception):
                self._witnesses.take(ref, cell, tried.evidence)
        if outcome.verdict is Verdict.IMPRECISE:
            # Recorded or not: without a look for its cause it may be a mismatch.
            # Of steps, its cause would show in single calls, too, and is looked for there.
            if cell.task != SEQUENCE:
                outcome = self._diagnosis.explained(ref, cell, outcome, tried.evidence)
            return self._strictly(outcome, tried.evidence)
        # An error in one input set hides what others that ran, and are wrong, tell of its cause.
        wrong = outcome.verdict is Verdict.MISMATCH or (
            outcome.verdict is Verdict.ERROR and tried.evidence is not None and bool(tried.evidence.runs)
        )
        if not wrong or expects(outcome) or cell.task != INFERENCE:
            return outcome
        if failed_at_once(outcome):
            return outcome
        return self._diagnosis.explained(ref, cell, outcome, tried.evidence)

    def _strictly(self, outcome: Outcome, evidence: Evidence | None) -> Outcome:
        """What is imprecise as a failure, where the case or the command line asks for that."""
        by_case = evidence is not None and evidence.tolerance.strict
        if outcome.verdict is not Verdict.IMPRECISE or not (self.strict or by_case):
            return outcome
        why = "Tolerance(strict=True)" if by_case else "--modelconform-strict"
        return replace(
            outcome, strict=True, message=f"{outcome.message}\nwhat is imprecise fails here, as asked for by {why}"
        )

    def _tried(self, ref: CaseRef, cell: Cell, expects: Expects) -> Tried:
        """What up to three attempts come to: state leaks between cells in long-lived processes, so fresh ones count.

        One more, alone on the GPU, where its memory was not enough.
        """
        first = tried = self._attempted(ref, cell, expects)

        def is_final() -> bool:
            outcome = tried.outcome
            if not outcome.doubtful or outcome.is_exhausted:
                return True
            return tried.fresh or expects(outcome) or failed_at_once(outcome)

        # First in a fresh worker, which costs less than a new export, unless it takes as long as it may.
        if not is_final() and first.was_used and first.outcome.verdict is not Verdict.TIMEOUT:
            tried = self._attempted(ref, cell, expects)
        if not is_final():
            tried = self._attempted(ref, cell, expects, anew=True)
        if tried.outcome.is_exhausted and self._needs_gpu(cell):
            return self._alone(ref, cell, expects, tried.outcome)
        was, outcome = first.outcome, tried.outcome
        if tried is first or outcome.verdict is was.verdict:
            return tried
        said = f"it was {was.verdict.value}: {was.message}"
        note = f"the verdict depends on the order of the cells: in a process that had run others before, {said}"
        return replace(tried, outcome=replace(outcome, notes=(*outcome.notes, note)))

    def _needs_gpu(self, cell: Cell) -> bool:
        return devices.needs_gpu(cell.device, self.registry.format(cell.format).DEVICE_BOUND)

    def _alone(self, ref: CaseRef, cell: Cell, expects: Expects, was: Outcome) -> Tried:
        """One more attempt, by fresh processes that have the GPU alone, with all of its memory."""
        with self.pool.turns.alone():
            tried = self._attempted(ref, cell, expects)
        outcome = tried.outcome
        if outcome.is_exhausted:
            said = "It was tried once more alone."
            if exhausted.on_gpu(outcome.message):
                what = self.pool.turns.all_of_it
                said = f"It was tried once more alone on {what}: a GPU with more memory may do, or smaller inputs."
            return replace(tried, outcome=replace(outcome, message=f"{outcome.message}\n{said}"))
        first = was.message.partition("\n")[0]
        note = f"it ran alone on the GPU, since the memory was not enough beside other processes: {first}"
        return replace(tried, outcome=replace(outcome, notes=(*outcome.notes, note)))

    def _attempted(self, ref: CaseRef, cell: Cell, expects: Expects, anew: bool = False) -> Tried:
        """One attempt; what a full disk makes of it says nothing of the cell, and trying again would change nothing."""
        tried = Attempt.of(self.tools, ref, cell, expects, anew).tried()
        outcome = without_room(tried.outcome, self.tools.folder)
        return tried if outcome is tried.outcome else Tried(outcome, fresh=True)


def _sees(content: Content) -> dict[str, int] | None:
    """The share of a model's outputs that its case sees; a training has none."""
    if not isinstance(content, Inference):
        return None
    return {"seen": content.outputs - len(content.blind), "outputs": content.outputs}
