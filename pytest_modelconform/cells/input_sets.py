"""What a worker has loaded, run on the input sets of a case and compared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..references.prepared import InputSet, Prepared, sizes
from ..terms.accuracy import of_generated
from ..terms.case import Tolerance
from ..terms.cell import FULL, Cell
from ..terms.limits import STATED, TRANSPOSED_INPUTS
from ..terms.outcome import STYLES, Outcome, Stage, Verdict
from ..terms.runs import ZEROS
from ..terms.tolerances import choose, loss_note
from ..terms.wording import input_name
from . import compiled, limits, pairs
from .answers import (
    Run,
    SetResult,
    UnsuitableInputs,
    compare_runs,
    other_arguments,
    other_constants,
    read_runs,
    run_request,
    static_conflict,
    summarise,
)
from .pool import AnyWorker, Pool
from .protocol import NONSENSE, Compiled, RunAnswer, broken
from .registry import Registry
from .second_look import Closer, is_near
from .stages import Artifact, Budget, verdict_of
from .typed import read
from .worker import InlineWorker, WorkerProblem, WorkerRefused


@dataclass(frozen=True)
class SetsRun:
    """The outcome over all input sets.

    mismatches: outputs of the sets that are a mismatch or imprecise; arrays are memory maps. judge: what they were
    compared with in the end.
    """

    outcome: Outcome
    mismatches: Mapping[str, Sequence[Run]]
    judge: Prepared


@dataclass(frozen=True)
class Ran:
    """An input set that ran: the distinct results, the inputs that the model wrote to, the best run's seconds.

    compiled: what was compiled meanwhile, by a runtime that does so.
    """

    runs: Sequence[Run]
    inputs_changed: frozenset[str]
    seconds: float
    compiled: Compiled | None = None


@dataclass(frozen=True)
class _Second:
    """What an input set came to when it was judged again: its result, and its runs where that is no pass."""

    closer: Closer
    result: SetResult
    runs: Sequence[Run]


@dataclass(frozen=True)
class InputSets:
    """Runs an artifact that a worker has loaded on every input set of a case.

    judge: what its outputs are compared with. budget: what the cell may still take. target: the file for outputs.
    reload: has the worker load the artifact anew, or raises StageFailure; for a runtime with `RELOADS`. own: columns
    that the case makes itself. closer: an input set with more of eager's noise, for a near miss, or why there is none.
    """

    registry: Registry
    pool: Pool
    cell: Cell
    judge: Prepared
    artifact: Artifact
    worker: AnyWorker
    budget: Budget
    target: Path
    reload: Callable[[], object] | None = None
    own: Collection[str] = ()
    closer: Callable[[InputSet], Closer | str] | None = None

    def outcome(self) -> SetsRun:
        """Run and compare each set; one that kills the worker leaves those behind it not run."""
        results: dict[str, SetResult] = {}
        mismatches: dict[str, Sequence[Run]] = {}
        judged = dict(self.judge.sets)
        further: list[str] = []
        for name, entry in self.judge.sets.items():
            result, runs, ran = self._tried(entry)
            second = self._again(entry, result, ran) if ran is not None and runs else None
            if isinstance(second, _Second):
                judged[name] = second.closer.entry
                further.append(second.closer.note(result))
                result, runs = second.result, second.runs
            elif second:
                further.append(f"input set {name!r} misses by little, and no more of eager's noise was drawn: {second}")
            results[name] = replace(result, generated=entry.generated, shapes=entry.shapes)
            # An input that is changed in place is a mismatch that the numbers tell nothing of.
            if runs:
                mismatches[name] = runs
        exported = self.judge.content.exporter_set
        outcome = summarise(results, self.artifact.signature, exported=exported, sizes=sizes(self.judge.sets))
        outcome = compiled.told(outcome, results)
        tolerance, notes = choose(self.judge.tolerance, self.judge.tolerances, self.cell)
        if lost := loss_note(self.cell.format, outcome, tolerance):
            notes = (*notes, lost)
        if self.cell.precision != FULL:
            notes = (*notes, *self.judge.content.notes)
        outcome = replace(outcome, notes=(*outcome.notes, *further, *notes))
        return SetsRun(outcome, mismatches, self.judge.with_sets(judged))

    def _again(self, entry: InputSet, result: SetResult, ran: Ran) -> _Second | str | None:
        """A near miss, judged by more of eager's noise, or why it can't be; None where that is no better."""
        if self.closer is None or not is_near(result, entry.references, self._tolerance(entry)):
            return None
        closer = self.closer(entry)
        if isinstance(closer, str):
            return closer
        found, left = self.compare(closer.entry, ran)
        if STYLES[found.verdict].rank >= STYLES[result.verdict].rank:
            return None
        return _Second(closer, found, left)

    def _tried(self, entry: InputSet) -> tuple[SetResult, Sequence[Run], Ran | None]:
        """The result of one set, its runs where their numbers are a mismatch, or imprecise, and what ran."""
        if not self.worker.alive:
            return SetResult(Verdict.NOT_RUN, message="the worker died in another input set"), (), None
        if found := self.limit(entry):
            return found, (), None
        ran = self.run(entry)
        return (*self.compare(entry, ran), ran) if isinstance(ran, Ran) else (ran, (), None)

    def limit(self, entry: InputSet) -> SetResult | None:
        """Unsupported where a format on the way or the runtime states that it can't do a set, else None."""
        framework = self.judge.content.framework
        through = self.registry.made_through(self.cell.format, framework, self.own)
        stated = {f"format {name}": self.registry.format(name).LIMITS for name in through}
        stated[f"runtime {self.cell.runtime}"] = self.registry.runtime(self.cell.runtime).LIMITS
        for what, limited in stated.items():
            if reason := limits.of_column(limited, entry):
                message = f"{what} can't take {entry.generated}: {reason}"
                return SetResult(Verdict.UNSUPPORTED, Stage.RUN, message, limit=TRANSPOSED_INPUTS)
            if reason := limits.of_set(limited, self.judge, entry):
                # A set of the case's own that can't be taken is the case's loss; a generated one is the limit's.
                limit = STATED if entry.generated else ""
                return SetResult(Verdict.UNSUPPORTED, Stage.RUN, f"{what} can't: {reason}", limit=limit)
        return None

    def run(self, entry: InputSet, repeats: int = 0) -> Ran | SetResult:
        """Run a set, or say why that is its result. repeats: how often; 0: as the format needs."""
        self.target.unlink(missing_ok=True)
        repeats = repeats or self.registry.format(self.cell.format).REPEATS
        signature = self.artifact.signature
        # What is wrong with our own file is not the worker's answer.
        inputs = pairs.inputs_file(entry, signature, self.target.parent)
        files = {"inputs": str(inputs), "outputs": str(self.target)}
        try:
            request = run_request(signature, entry)
            answer = read(self.budget.ask(self.worker, "run", repeats=repeats, **files, **request), RunAnswer)
            runs = pairs.joined(read_runs(answer, self.target, repeats, signature, entry.outputs), entry, signature)
        except WorkerRefused as problem:
            if self.reload is not None and self.registry.runtime(self.cell.runtime).RELOADS:
                self.reload()
            if problem.exhausted:
                # A set that may be refused has not been.
                return SetResult(verdict_of(problem), Stage.RUN, str(problem))
            conflict = static_conflict(signature, entry) or self._other_arguments(entry)
            # What is compiled from the model itself takes what the model takes.
            in_place = self.registry.format(self.cell.format).IN_PLACE
            if not in_place and (conflict or entry.may_refuse):
                why = self._other_size(entry, conflict) or conflict
                # What the runtime says of it takes lines; reports show the first one, and the rest on demand.
                reason = f"{why}\n{problem}" if why else str(problem)
                return SetResult(Verdict.UNSUPPORTED, Stage.RUN, reason)
            return SetResult(Verdict.ERROR, Stage.RUN, str(problem))
        except WorkerProblem as problem:
            return SetResult(verdict_of(problem), Stage.RUN, str(problem))
        except UnsuitableInputs as error:
            return SetResult(Verdict.UNSUPPORTED, Stage.RUN, str(error))
        except NONSENSE as error:
            if isinstance(self.worker, InlineWorker):
                raise  # Most likely what a handler raised, and a debugger is to stop there.
            self.pool.discard(self.worker)
            message = broken(self.cell.runtime, "its outputs can't be read", error)
            return SetResult(Verdict.ERROR, Stage.RUN, message)
        seconds = min(run.seconds or 0.0 for run in answer.runs)
        return Ran(runs, frozenset(answer.inputs_changed), seconds, answer.compiled)

    def _other_arguments(self, entry: InputSet) -> str | None:
        """Why the artifact can't take a set with other arguments than the exported one; None where it can."""
        if self.registry.format(self.cell.format).ANY_ARGUMENTS:
            return None
        return other_arguments(self.judge.exported_shapes, entry) or self._other_constants(entry)

    def _other_constants(self, entry: InputSet) -> str | None:
        """Which constant of the artifact a set gives another value than the exported one; None where it gives none."""
        exported = self.judge.sets.get(self.judge.content.exporter_set)
        takes_any = self.registry.format(self.cell.format).ANY_ARGUMENTS
        return other_constants(exported.constants, entry) if exported and not takes_any else None

    def _other_size(self, entry: InputSet, conflict: str | None) -> str:
        """In which input a set has another size than the exported one, and what to do; "" where it hasn't.

        conflict: what the artifact declares against it, if it does.
        """
        declared = {leaf.path: leaf.shape for leaf in self.judge.content.input_leaves}
        exported = self.judge.exported_shapes
        for path, shape in entry.shapes.items():
            if path not in exported or list(shape) == list(exported[path]):
                continue
            wanted = declared.get(path, exported[path])
            fixed = any(
                isinstance(kind, int) and size != kind for kind, size in zip(wanted, shape, strict=False)
            ) or len(wanted) != len(shape)
            if fixed:
                remedy = "give dynamic_shapes to export it for other sizes"
            elif conflict or self.artifact.signature.inputs is None:
                remedy = "the exporter fixed a size that dynamic_shapes leaves open"
            else:
                # The artifact leaves it open, too: it is the runtime that takes no such size.
                remedy = "dynamic_shapes gives no least size for all that vary (`Dim(…, min=…)`)"
            return f"{input_name(path)} was exported as {tuple(exported[path])}, this set has {tuple(shape)}: {remedy}"
        return ""

    def compare(self, entry: InputSet, ran: Ran) -> tuple[SetResult, Sequence[Run]]:
        """Compare what ran with the references; the runs, too, where their numbers are a mismatch, or imprecise."""
        tolerance = self._tolerance(entry)
        narrows = self.registry.runtime(self.cell.runtime).NARROWS
        made = compiled.of_set(ran.compiled)
        result = replace(compare_runs(ran.runs, entry, tolerance, narrows), seconds=ran.seconds, compiled=made)
        if entry.name == ZEROS and entry.generated:
            result = replace(result, numbers={})  # they are no part of what the cell has right
        conflict = static_conflict(self.artifact.signature, entry)
        changed = sorted(ran.inputs_changed - entry.inputs_changed)
        runs = () if result.verdict is Verdict.PASS else ran.runs
        if changed and result.verdict is not Verdict.MISMATCH:
            change = f"changes its input {changed[0]} in place, the model does not"
            message = f"{result.message}\n{change}" if result.message else change
            result = replace(result, verdict=Verdict.MISMATCH, stage=Stage.COMPARE, message=message)
        other = self._other_constants(entry)
        if other and result.verdict in (Verdict.MISMATCH, Verdict.IMPRECISE):
            # It may have nothing else to give.
            return replace(result, verdict=Verdict.UNSUPPORTED, stage=Stage.RUN, message=other, numbers={}), ()
        if conflict and result.verdict is Verdict.MISMATCH:
            message = f"{result.message}; {conflict}, and the runtime runs it all the same"
            result = replace(result, message=message)
        # Memory maps: they outlive the file, whose name the next input set takes.
        return result, runs

    def _tolerance(self, entry: InputSet) -> Tolerance:
        """That of the cell for an input set."""
        tolerance, _ = choose(self.judge.tolerance, self.judge.tolerances, self.cell)
        return of_generated(self.cell.format, tolerance, entry.name) if entry.generated else tolerance
