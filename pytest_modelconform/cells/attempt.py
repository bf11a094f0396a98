"""One try at a cell, step by step: prepare, export, load, run, compare."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..references.prepared import Prepared
from ..terms import devices
from ..terms.cell import FULL, INFERENCE, SEQUENCE, CaseRef, Cell
from ..terms.exports import base_of
from ..terms.outcome import NOT_FIT, Outcome, Stage, Verdict
from ..terms.tolerances import choose
from . import limits
from .diagnosing import Evidence
from .input_sets import InputSets
from .loading import Tools, check_runtime, load, running, unspoilt
from .pool import AnyWorker
from .stages import Artifact, Budget, StageFailure, failure_of
from .steps import Steps
from .training import Trainings
from .worker import WorkerProblem

Expects = Callable[[Outcome], bool]


@dataclass(frozen=True)
class Tried:
    """What an attempt came to.

    fresh: whether fresh processes made and ran the artifact, or another try would change nothing. evidence: of what
    ran. was_used: whether the runtime's worker had run other cells before.
    """

    outcome: Outcome
    fresh: bool
    evidence: Evidence | None = None
    was_used: bool = False


@dataclass(frozen=True)
class Executed:
    """What a worker made of an artifact. evidence: of what ran."""

    outcome: Outcome
    evidence: Evidence | None = None


@dataclass(frozen=True)
class Attempt:
    """One try at a cell.

    ref: the case as it is exported. expects: whether a failure is the recorded one: nothing is then done over. anew:
    what a used process made is made again by a fresh one, see Exports.artifact. budget: what it may still take.
    trusted: whether the runtime is known to work here, so that a failure is no reason to try it with the smoke model.
    """

    tools: Tools
    ref: CaseRef
    cell: Cell
    expects: Expects
    anew: bool
    budget: Budget
    trusted: bool = False

    @classmethod
    def of(cls, tools: Tools, ref: CaseRef, cell: Cell, expects: Expects, anew: bool = False) -> Attempt:
        """An attempt that begins now, with all of its time."""
        tools.pool.begin()
        return cls(tools, replace(ref, task=cell.artifact_task), cell, expects, anew, tools.budget())

    def tried(self) -> Tried:
        """All steps, as far as the cell gets."""
        try:
            prepared = self.prepare()
            self.refuse_to_export(prepared)
            judge = self.judge(prepared)
            artifact = self.export(prepared)
        except StageFailure as failure:
            return Tried(failure.outcome(), fresh=True)
        try:
            self.refuse_to_load(prepared)
            worker = unspoilt(self.tools, self.cell, artifact, self.ref.file.parent, running(self.tools, self.cell))
        except StageFailure as failure:
            return Tried(self._with(artifact, failure.outcome()), artifact.fresh)
        was_used, worker.used = worker.used, True
        executed = self._executed(judge, artifact, worker)
        outcome = self._with(artifact, executed.outcome)
        is_telling = outcome.failed and not outcome.is_exhausted
        if is_telling and not self.trusted and not was_used and base_of(self.cell.format) not in worker.smoked:
            # Nothing has passed in this worker: is it the model, or the runtime?
            try:
                check_runtime(self.tools, self.cell)
            except StageFailure as failure:
                return Tried(self._with(artifact, failure.outcome()), artifact.fresh)
        if outcome.doubtful and (was_used or not artifact.fresh) and not self.expects(outcome):
            self.tools.pool.discard(worker)
        return Tried(outcome, artifact.fresh and not was_used, executed.evidence, was_used)

    def exported_only(self, reason: str) -> Outcome:
        """Where the runtime isn't there, which is the `reason`: unavailable, unless not even the export works."""
        try:
            prepared = self.prepare()
            self.refuse_to_export(prepared)
            artifact = self.export(prepared)
        except StageFailure as failure:
            return failure.outcome()
        message = f"The export succeeded, but it could not be run: {reason}"
        return self._with(artifact, Outcome(Verdict.UNAVAILABLE, Stage.LOAD, message), kept=False)

    # -- the steps; each raises StageFailure -----------------------------------------------------------------------

    def prepare(self) -> Prepared:
        """The case's references."""
        return self._fit(self.ref)

    def _fit(self, ref: CaseRef) -> Prepared:
        """The references of a case. What is wrong with it, its model check says in full."""
        try:
            return self.tools.exports.prepare(ref, self.budget)
        except StageFailure as failure:
            of_case = failure.stage in (Stage.REFERENCE, Stage.BUILD, Stage.COLLECT)
            if not of_case or failure.verdict in (Verdict.UNAVAILABLE, Verdict.OUT_OF_MEMORY):
                raise
            first = str(failure).splitlines()[0]
            message = f"{NOT_FIT}, see {ref.check}: {first}"
            raise StageFailure(Stage.REFERENCE, Verdict.ERROR, message) from failure

    def judge(self, prepared: Prepared) -> Prepared:
        """What outputs are compared with: the case's references, or those for fast modes or steps, made when asked."""
        if self.cell.task == SEQUENCE:
            judge = self._fit(replace(self.ref, task=SEQUENCE))
        elif self.cell.precision == FULL:
            return prepared
        else:
            judge = self.tools.exports.prepare(replace(self.ref, precision=self.cell.precision), self.budget)
        if judge.digest != prepared.digest:
            message = f"case {self.ref.name!r}: building it twice gave other parameters or inputs"
            raise StageFailure(Stage.BUILD, Verdict.ERROR, message)
        return judge

    def export(self, prepared: Prepared) -> Artifact:
        """The case in the cell's format."""
        return self.tools.exports.artifact(self.ref, prepared, self.cell, self.budget, self.expects, self.anew)

    def run(self, judge: Prepared, artifact: Artifact, worker: AnyWorker, load_seconds: float) -> Executed:
        """Run what is loaded and compare: on every input set and from several threads, in steps, or as it trains."""
        cell, tools = self.cell, self.tools
        if cell.task not in (INFERENCE, SEQUENCE):
            trainings = Trainings(tools.exports, self.ref, judge, cell, worker, self.budget)
            return Executed(trainings.outcome(tools.folder))
        reload = functools.partial(load, tools, cell, artifact, self.ref.file.parent, worker, self.budget)
        sets = InputSets(
            tools.registry,
            tools.pool,
            cell,
            judge,
            artifact,
            worker,
            self.budget,
            tools.outputs,
            reload,
            self.ref.own,
            lambda entry: tools.second_look.of(self.ref, judge, entry, self.budget),
        )
        tolerance, _ = choose(judge.tolerance, judge.tolerances, cell)
        if cell.task == SEQUENCE:
            return Executed(Steps(sets, tools.folder).outcome(), Evidence(judge, tolerance, {}, self.budget))
        ran = sets.outcome()
        evidence = Evidence(ran.judge, tolerance, ran.mismatches, self.budget)
        if ran.outcome.verdict not in (Verdict.PASS, Verdict.IMPRECISE):
            return Executed(ran.outcome, evidence)
        checked = tools.at_once.checked(ran.outcome, cell, ran.judge, artifact, worker, self.budget, load_seconds)
        return Executed(checked, evidence)

    def _executed(self, judge: Prepared, artifact: Artifact, worker: AnyWorker) -> Executed:
        """Load, run, compare and unload; on a GPU beside others, or alone."""
        with self.tools.pool.turns.held() if worker.on_gpu else contextlib.nullcontext():
            return self._executed_now(judge, artifact, worker)

    def _executed_now(self, judge: Prepared, artifact: Artifact, worker: AnyWorker) -> Executed:
        try:
            seconds = load(self.tools, self.cell, artifact, self.ref.file.parent, worker, self.budget)
        except StageFailure as failure:
            return Executed(failure.outcome())
        took = {"load": seconds}
        try:
            executed = self.run(judge, artifact, worker, seconds)
        except StageFailure as failure:
            return Executed(replace(failure.outcome(), seconds=took))
        except WorkerProblem as problem:
            return Executed(replace(failure_of(problem, Stage.RUN).outcome(), seconds=took))
        outcome = replace(executed.outcome, seconds={**took, **executed.outcome.seconds})
        try:
            if worker.alive:
                self.budget.ask(worker, "unload")
        except WorkerProblem as problem:
            outcome = replace(failure_of(problem, Stage.RUN).outcome(), seconds=outcome.seconds)
        return replace(executed, outcome=outcome)

    # -- what formats and runtimes state that they can't -----------------------------------------------------------

    def refuse_to_export(self, prepared: Prepared) -> None:
        """Raises StageFailure where a format on the way states that it can't do this case."""
        registry = self.tools.registry
        for name in registry.made_through(self.cell.format, self.ref.framework, self.ref.own):
            stated = limits.of_case(registry.format(name).LIMITS, self.cell, prepared)
            if reason := stated or limits.of_quantised(name, self.cell, registry):
                raise StageFailure(Stage.EXPORT, Verdict.UNSUPPORTED, f"format {name} can't: {reason}")

    def refuse_to_load(self, prepared: Prepared) -> None:
        """The same for the runtime. Asked after the export: one that fails fails whatever would have run it."""
        runtime = self.tools.registry.runtime(self.cell.runtime)
        if reason := limits.of_case(runtime.LIMITS, self.cell, prepared):
            raise StageFailure(Stage.LOAD, Verdict.UNSUPPORTED, f"runtime {self.cell.runtime} can't: {reason}")

    def _with(self, artifact: Artifact, outcome: Outcome, kept: bool = True) -> Outcome:
        """An outcome with what is known of its artifact. kept: whether devices that it keeps are a note."""
        in_place = self.tools.registry.format(self.cell.format).IN_PLACE
        notes = devices.kept_note(artifact.signature.kept_devices, self.cell.device) if kept else ()
        return replace(
            outcome,
            notes=(*outcome.notes, *notes, *artifact.signature.notes),
            seconds={"export": artifact.seconds, **outcome.seconds},
            artifact_bytes=None if in_place else artifact.size,
            artifact=None if in_place else str(artifact.path),
            cached=artifact.cached,
        )
