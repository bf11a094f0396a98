"""One cell from start to end: reference, export, load, run, compare. The only place that attributes a stage."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..cache.store import Cache
from ..formats import base as format_base
from ..harness import BuildError
from ..references import training
from ..references.from_runs import eager_numbers
from ..references.prepared import InputSet, Prepared
from ..terms import devices
from ..terms.case import TORCH, Tolerance
from ..terms.cell import FULL, INFERENCE, CaseRef, Cell
from ..terms.outcome import NOT_FIT, Outcome, Stage, Verdict
from ..terms.tolerances import choose
from ..workers.tensors import TensorFileError
from . import limits
from .answers import Run, UnsuitableInputs, compare_runs, merge, read_runs, run_request, static_conflict, summarise
from .case_host import SMOKE, Exports
from .concurrency import AtOnce, failed_at_once
from .diagnosing import Diagnosis, Evidence
from .pool import AnyWorker, Pool
from .registry import Registry
from .stages import VERDICT_OF, Artifact, Budget, StageFailure, failure_of, number, start
from .training import Trainings
from .worker import WorkerProblem, WorkerRefused


class Pipeline:
    """Runs cells."""

    def __init__(
        self,
        registry: Registry,
        cache: Cache,
        pool: Pool,
        timeout: float,
        threads: Sequence[int] = (),
        threads_asked: bool = False,
    ) -> None:
        self.registry = registry
        self.pool = pool
        self.timeout = timeout
        self.exports = Exports(registry, cache, pool, timeout)
        self._folder = Path(tempfile.mkdtemp(prefix="modelconform-"))
        self._at_once = AtOnce(registry, threads, self._folder, threads_asked)
        self._diagnosis = Diagnosis(self.exports, self._folder)
        # Of the last attempt, if it ended in a mismatch.
        self._evidence: Evidence | None = None

    def close(self) -> None:
        """Remove the working folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    # -- the model check -------------------------------------------------------------------------------------------

    def check(self, ref: CaseRef) -> Outcome:
        """The cell `case[eager]`: is there something to compare with?"""
        self.pool.begin()
        try:
            prepared = self.exports.prepare(ref, Budget(self.timeout, self.pool))
        except StageFailure as failure:
            return failure.outcome()
        numbers = []
        inputs: dict[str, dict[str, Any]] = {}
        said = eager_numbers if ref.task == INFERENCE else training.eager_numbers
        for name, entry in prepared.sets.items():
            found = [said(reference) for reference in entry.references.values()]
            numbers += found
            inputs[name] = {"verdict": Verdict.PASS.value, **merge(found)}
        seconds = {"run": sum(entry.seconds for entry in prepared.content.sets.values())}
        notes = tuple(prepared.content.notes)
        return Outcome(
            Verdict.PASS, inputs=inputs, seconds=seconds, cached=prepared.cached, notes=notes, **merge(numbers)
        )

    # -- a cell ----------------------------------------------------------------------------------------------------

    def unavailable(self, cell: Cell, framework: str = TORCH) -> str | None:
        """None if a cell's format and runtime are there, else what to do. framework: the case's."""
        runs_on = devices.route(cell.device).runs_on
        reason = self.registry.runtime(cell.runtime).unavailable(runs_on) or devices.lacking(cell.device)
        if reason:
            return (
                f"runtime {cell.runtime} {reason}"
                if reason.startswith("needs ")
                else f"runtime {cell.runtime}: {reason}"
            )
        return self._format_unavailable(cell, framework)

    def _format_unavailable(self, cell: Cell, framework: str) -> str | None:
        for name in self.registry.made_through(cell.format, framework):
            if reason := format_base.unavailable(self.registry.format(name)):
                return f"format {name} {reason}"
        return None

    def _exported_only(self, ref: CaseRef, cell: Cell, expects: Callable[[Outcome], bool], reason: str) -> Outcome:
        """The outcome of a cell whose runtime isn't there: unavailable, unless not even the export works."""
        self.pool.begin()
        budget = Budget(self.timeout, self.pool)
        try:
            prepared = self._reference_for(ref, budget)
            self._refuse_to_export(ref, cell, prepared)
            artifact = self.exports.artifact(ref, prepared, cell, budget, expects)
        except StageFailure as failure:
            return failure.outcome()
        message = f"it was exported, and no more than that is known: {reason}"
        return Outcome(
            Verdict.UNAVAILABLE,
            Stage.LOAD,
            message,
            seconds={"export": artifact.seconds},
            artifact_bytes=artifact.size,
            artifact=str(artifact.path),
            cached=artifact.cached,
        )

    def run(self, ref: CaseRef, cell: Cell, expects: Callable[[Outcome], bool] = lambda outcome: False) -> Outcome:
        """The outcome of a cell. `expects` says whether a failure is the recorded one: it is then not tried again."""
        if reason := self.unavailable(cell, ref.framework):
            exports_anyway = self.registry.runtime(cell.runtime).EXPORTS_ANYWAY
            if exports_anyway and not self._format_unavailable(cell, ref.framework):
                return self._exported_only(ref, cell, expects, reason)
            return Outcome(Verdict.UNAVAILABLE, Stage.ENVIRONMENT, reason)
        outcome = self._judged(ref, cell, expects)
        evidence, self._evidence = self._evidence, None
        if outcome.verdict is not Verdict.MISMATCH or expects(outcome) or cell.task != INFERENCE:
            return outcome
        return self._diagnosis.explained(ref, cell, outcome, evidence)

    def _judged(self, ref: CaseRef, cell: Cell, expects: Callable[[Outcome], bool]) -> Outcome:
        """The outcome of a cell without hints, by one attempt or two."""
        outcome, fresh = self._attempt(ref, cell, expects, anew=False)
        if fresh or not outcome.failed or expects(outcome) or failed_at_once(outcome):
            return outcome
        # State leaks between cells in a long-lived worker: the verdict of a fresh one counts.
        first = outcome
        outcome, _ = self._attempt(ref, cell, expects, anew=True)
        if outcome.verdict is not first.verdict:
            note = (
                f"depends on order: in a process that had run other cells it was {first.verdict.value}: {first.message}"
            )
            outcome = replace(outcome, notes=(*outcome.notes, note))
        return outcome

    def _attempt(
        self, ref: CaseRef, cell: Cell, expects: Callable[[Outcome], bool], anew: bool
    ) -> tuple[Outcome, bool]:
        """One try, and whether fresh workers made and ran the artifact. anew: see Exports.artifact."""
        self.pool.begin()
        budget = Budget(self.timeout, self.pool)
        seconds: dict[str, float] = {}
        found: dict[str, Any] = {"seconds": seconds}
        worker: AnyWorker | None = None
        used = False
        fresh_export = True
        notes: tuple[str, ...] = ()
        self._evidence = None
        try:
            prepared = self._reference_for(ref, budget)
            self._refuse_to_export(ref, cell, prepared)
            judge = self._judge_of(ref, prepared, cell, budget)
            artifact = self.exports.artifact(ref, prepared, cell, budget, expects, anew)
            fresh_export = artifact.fresh
            notes = devices.kept_note(artifact.signature, cell.device)
            seconds["export"] = artifact.seconds
            found |= {"artifact_bytes": artifact.size, "artifact": str(artifact.path), "cached": artifact.cached}
            self._refuse_to_load(cell, prepared)
            worker = self.worker(cell)
            used, worker.used = worker.used, True
            request = self.load_request(cell, artifact)
            try:
                answer = budget.ask(worker, "load", precision=cell.precision, **request)
            except WorkerProblem as problem:
                raise failure_of(problem, Stage.LOAD) from problem
            seconds["load"] = number(answer.get("seconds"))
            if cell.task == INFERENCE:
                kept: dict[str, list[Run]] = {}
                outcome = self.run_sets(cell, judge, artifact, worker, budget, seconds, kept)
                self._evidence = Evidence(judge, choose(judge.tolerance, judge.tolerances, cell)[0], kept, budget)
                if outcome.verdict is Verdict.PASS:
                    outcome = self._at_once.checked(outcome, cell, judge, artifact, worker, budget, seconds["load"])
            else:
                outcome = Trainings(self.exports, ref, judge, cell, worker, budget).outcome(self._folder)
                seconds |= outcome.seconds
            if worker.alive:
                budget.ask(worker, "unload")
        except StageFailure as failure:
            outcome = failure.outcome()
        except WorkerProblem as problem:
            outcome = failure_of(problem, Stage.RUN).outcome()
        outcome = replace(outcome, notes=(*outcome.notes, *notes))
        if worker is not None and outcome.failed and (used or not fresh_export) and not expects(outcome):
            self.pool.discard(worker)
        return replace(outcome, **found), fresh_export and not used

    def _reference_for(self, ref: CaseRef, budget: Budget) -> Prepared:
        try:
            return self.exports.prepare(ref, budget)
        except StageFailure as failure:
            if failure.stage not in (Stage.REFERENCE, Stage.BUILD, Stage.COLLECT):
                raise
            first = str(failure).splitlines()[0]
            raise StageFailure(
                Stage.REFERENCE,
                Verdict.ERROR,
                f"{NOT_FIT}, see {ref.check}: {first}",
            ) from failure

    def _refuse_to_export(self, ref: CaseRef, cell: Cell, prepared: Prepared) -> None:
        """Raises StageFailure where a format on the way states that it can't do this case."""
        for name in self.registry.made_through(cell.format, ref.framework):
            if reason := limits.of_case(self.registry.format(name).LIMITS, cell, prepared):
                raise StageFailure(Stage.EXPORT, Verdict.UNSUPPORTED, f"format {name} can't: {reason}")

    def _refuse_to_load(self, cell: Cell, prepared: Prepared) -> None:
        """The same for the runtime. Asked after the export: one that fails fails whatever would have run it."""
        if reason := limits.of_case(self.registry.runtime(cell.runtime).LIMITS, cell, prepared):
            raise StageFailure(Stage.LOAD, Verdict.UNSUPPORTED, f"runtime {cell.runtime} can't: {reason}")

    def _judge_of(self, ref: CaseRef, prepared: Prepared, cell: Cell, budget: Budget) -> Prepared:
        """What a cell's outputs are compared with: the case's references, or those for fast modes, made when asked."""
        if cell.precision == FULL:
            return prepared
        judge = self.exports.prepare(replace(ref, precision=cell.precision), budget)
        if judge.digest != prepared.digest:
            message = f"case {ref.name!r}: building it twice gave other parameters or inputs"
            raise StageFailure(Stage.BUILD, Verdict.ERROR, message)
        return judge

    def worker(self, cell: Cell) -> AnyWorker:
        """A live worker of a cell's runtime that has run the smoke model in the cell's format."""
        worker = start(lambda: self.pool.runtime(cell.runtime, cell.device))
        if cell.format in worker.smoked or worker.used:
            return worker
        usual = {"dtype": SMOKE.dtype, "precision": FULL, "task": INFERENCE}
        ref = replace(SMOKE, name=self.registry.format(cell.format).SMOKE)
        smoke = replace(cell, case=ref.name, file=ref.relative, **usual)
        budget = Budget(self.timeout, self.pool)
        try:
            prepared = self.exports.find(ref, budget)
            artifact = self.exports.artifact(ref, prepared, smoke, budget, lambda outcome: False)
            request = self.load_request(cell, artifact)
            budget.ask(worker, "load", precision=smoke.precision, **request)
            outcome = self.run_sets(smoke, prepared, artifact, worker, budget, {}, {})
            message = outcome.message if outcome.failed else ""
        except StageFailure as failure:
            message = f"at stage {failure.stage.value}: {failure}"
        except WorkerProblem as problem:
            message = str(problem)
        if message:
            self.pool.discard(worker)
            raise StageFailure(
                Stage.ENVIRONMENT,
                Verdict.ERROR,
                f"runtime {cell.runtime} does not even run the smoke model (y = 3x + 1) in format "
                f"{cell.format}: {message}",
            )
        worker.smoked.add(cell.format)
        return worker

    def load_request(self, cell: Cell, artifact: Artifact) -> dict[str, Any]:
        """What a cell's runtime is asked to load. Raises StageFailure where what it needs can't be built."""
        runtime = self.registry.runtime(cell.runtime)
        request = runtime.load_request(artifact.folder, artifact.signature)
        try:
            return request | runtime.build(artifact.signature, self.pool.cache, self.pool.progress)
        except BuildError as error:
            raise StageFailure(Stage.BUILD, Verdict.ERROR, str(error)) from error

    def run_sets(
        self,
        cell: Cell,
        prepared: Prepared,
        artifact: Artifact,
        worker: AnyWorker,
        budget: Budget,
        seconds: dict[str, float],
        kept: dict[str, list[Run]],
    ) -> Outcome:
        """Run what is loaded on every input set, and compare. kept: takes the outputs of sets that are mismatches."""
        inputs: dict[str, dict[str, Any]] = {}
        tolerance, notes = choose(prepared.tolerance, prepared.tolerances, cell)
        if cell.precision != FULL:
            notes = (*notes, *prepared.content.notes)
        for name, entry in prepared.sets.items():
            if not worker.alive:
                inputs[name] = {"verdict": Verdict.NOT_RUN.value, "message": "the worker died in another input set"}
                continue
            if reason := self._limit_of_set(cell, prepared, entry):
                inputs[name] = {"verdict": Verdict.UNSUPPORTED.value, "stage": Stage.RUN.value, "message": reason}
            else:
                inputs[name] = self._run_set(cell, entry, artifact, worker, budget, tolerance, kept)
            if entry.generated:
                inputs[name]["generated"] = entry.generated
        seconds["run"] = sum(number(entry.get("seconds")) for entry in inputs.values())
        outcome = summarise(inputs, artifact.signature)
        return replace(outcome, notes=(*outcome.notes, *notes))

    def _limit_of_set(self, cell: Cell, prepared: Prepared, entry: InputSet) -> str | None:
        through = self.registry.made_through(cell.format, prepared.content.framework)
        stated = {f"format {name}": self.registry.format(name).LIMITS for name in through}
        stated[f"runtime {cell.runtime}"] = self.registry.runtime(cell.runtime).LIMITS
        for what, limited in stated.items():
            if reason := limits.of_set(limited, prepared, entry):
                return f"{what} can't: {reason}"
        return None

    def _run_set(
        self,
        cell: Cell,
        entry: InputSet,
        artifact: Artifact,
        worker: AnyWorker,
        budget: Budget,
        tolerance: Tolerance,
        kept: dict[str, list[Run]],
    ) -> dict[str, Any]:
        """The result of one input set, as it stands in the report under `inputs`."""
        conflict = static_conflict(artifact.signature, entry)
        target = self._folder / "outputs.safetensors"
        target.unlink(missing_ok=True)
        repeats = self.registry.format(cell.format).REPEATS
        stage = Stage.RUN
        try:
            request = run_request(artifact.signature, entry)
            answer = budget.ask(worker, "run", inputs=str(entry.file), outputs=str(target), repeats=repeats, **request)
            runs = read_runs(answer, target, repeats, artifact.signature, entry.outputs)
        except WorkerRefused as problem:
            if conflict or entry.may_refuse:
                reason = f"{conflict}: {problem}" if conflict else str(problem)
                return {"verdict": Verdict.UNSUPPORTED.value, "stage": stage.value, "message": reason}
            return {"verdict": Verdict.ERROR.value, "stage": stage.value, "message": str(problem)}
        except WorkerProblem as problem:
            return {"verdict": VERDICT_OF[type(problem)].value, "stage": stage.value, "message": str(problem)}
        except UnsuitableInputs as error:
            return {"verdict": Verdict.UNSUPPORTED.value, "stage": stage.value, "message": str(error)}
        except (TensorFileError, KeyError, ValueError, TypeError, OSError, StopIteration) as error:
            self.pool.discard(worker)
            message = f"{cell.runtime} broke the protocol: its outputs can't be read: {type(error).__name__}: {error}"
            return {"verdict": Verdict.ERROR.value, "stage": stage.value, "message": message}
        narrows = self.registry.runtime(cell.runtime).NARROWS
        result = compare_runs(runs, entry, tolerance, narrows)
        if result["verdict"] == Verdict.MISMATCH.value:
            # Memory maps: they outlive the file, whose name the next input set takes.
            kept[entry.name] = runs
        changed = sorted(set(answer.get("inputs_changed", ())) - entry.inputs_changed)
        if changed and result["verdict"] == Verdict.PASS.value:
            message = f"changes its input {changed[0]} in place, the model does not"
            result |= {"verdict": Verdict.MISMATCH.value, "stage": Stage.COMPARE.value, "message": message}
        result["seconds"] = min(number(run.get("seconds")) for run in answer["runs"])
        if conflict and result["verdict"] == Verdict.MISMATCH.value:
            result["message"] += f"; {conflict}, and the runtime runs it all the same"
        return result
