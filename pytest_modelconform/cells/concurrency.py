"""An artifact that has passed is run from several threads at once, as a server would, on one instance and on clones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..terms import exhausted
from ..terms.accuracy import of_generated
from ..terms.cell import Cell
from ..terms.outcome import FROM_THREADS, Outcome, Stage, Verdict
from ..terms.tolerances import choose
from ..workers import arrays
from . import from_threads, pairs
from .answers import Run, UnsuitableInputs, compare_runs, run_request, structured
from .protocol import NONSENSE, ConcurrentAnswer, Deviation, ErrorAnswer, Trial, broken
from .stages import verdict_of
from .typed import read
from .worker import WorkerProblem

if TYPE_CHECKING:
    from ..cache.store import Cache
    from ..references.prepared import InputSet, Prepared
    from ..terms.case import Tolerance
    from ..terms.signature import Signature
    from .pool import AnyWorker
    from .registry import Registry
    from .stages import Artifact, Budget

# Seconds that this may add to a cell, as the serial runs and the load let expect.
MOST_SECONDS = 0.25
# The smallest number of threads above 1 may go over that so many times; where all have passed before, so many.
PATIENCE, PATIENCE_AGAIN = 16, 4
# Of artifacts in memory at the same time, in bytes; an instance takes more, by its runtime's buffers.
MOST_BYTES = 2**30
_INSTANCES = {"one": "one instance", "clones": "clones"}


@dataclass(frozen=True)
class Plan:
    """How many threads, on one instance and each on a clone of its own; and what of that was left out, in words.

    repeats: serial runs of each input set beforehand.
    """

    threads: tuple[int, ...]
    clones: tuple[int, ...]
    repeats: int
    left_out: str = ""


def plan(counts: Sequence[int], run: float, load: float, size: int, repeats: int, most: float = MOST_SECONDS) -> Plan:
    """What of the numbers of threads fits into `most` seconds. The smallest above 1 on one instance may take more.

    run: seconds of one serial pass over all input sets. load: seconds to load the artifact, which a clone is taken to
    need, too. size: of the artifact, in bytes. repeats: serial passes, if there is time; else one.
    """
    ordered = sorted(set(counts))
    least = next((count for count in ordered if count > 1), ordered[0])
    if repeats * run > most / 2:
        repeats = 1
    left, made, heavy, slow = most - repeats * run, 0, False, False
    chosen: dict[str, list[int]] = {"one": [], "clones": []}
    left_out: list[str] = []
    for count in ordered:
        for instance, taken in chosen.items():
            new = max(count - made, 0) if instance == "clones" else 0
            cost = count * run + new * load
            too_heavy = instance == "clones" and count * size > MOST_BYTES
            room = left + PATIENCE * most if (instance, count) == ("one", least) else left
            if too_heavy or cost > room:
                heavy, slow = heavy or too_heavy, slow or not too_heavy
                left_out.append(f"{count} on {_INSTANCES[instance]}")
                continue
            taken.append(count)
            left, made = left - cost, made + new
    why = [f"a pass takes {run:.2g} s, loading {load:.2g} s"] if slow else []
    why += [f"the artifact has {size / 2**20:.0f} MiB"] if heavy else []
    said = f"not tried with {', '.join(left_out)}: {'; '.join(why)}" if left_out else ""
    return Plan(tuple(chosen["one"]), tuple(chosen["clones"]), repeats, said)


def again(counts: Sequence[int], run: float, most: float = MOST_SECONDS) -> Plan:
    """What is tried where all of a plan has passed before: the smallest number above 1, on one instance."""
    least = min((count for count in counts if count > 1), default=min(counts))
    fits = (1 + least) * run <= most * PATIENCE_AGAIN
    return Plan((least,) if fits else (), (), 1)


def chosen_sets(outcome: Outcome, prepared: Prepared) -> list[InputSet]:
    """The case's own input sets that passed, and a generated one beside a single one: other values have to meet.

    What is imprecise counts as passed.
    """
    ran_well = (Verdict.PASS.value, Verdict.IMPRECISE.value)
    passed = [entry for name, entry in prepared.sets.items() if outcome.inputs[name]["verdict"] in ran_well]
    own = [entry for entry in passed if not entry.generated]
    return own if len(own) > 1 else [*own, *(entry for entry in passed if entry.generated)][:2]


def failed_at_once(outcome: Outcome) -> bool:
    """Whether a cell failed from several threads. Once is enough: such failures depend on luck."""
    return outcome.failed and outcome.threads is not None


@dataclass(frozen=True)
class AtOnce:
    """Runs what has passed again, from so many threads (`counts`; none: not at all).

    folder: for files of results. asked: whether somebody asked for just these numbers, so that they may take long.
    cache: what has passed is kept there; None: nowhere, and all of it is tried each time.
    """

    registry: Registry
    counts: Sequence[int]
    folder: Path
    asked: bool = False
    cache: Cache | None = None

    def checked(
        self,
        outcome: Outcome,
        cell: Cell,
        prepared: Prepared,
        artifact: Artifact,
        worker: AnyWorker,
        budget: Budget,
        load: float,
    ) -> Outcome:
        """The outcome of a cell that has passed, with what several threads at once make of it.

        prepared: what its outputs are compared with. load: seconds that loading took. Unchanged where nothing is asked
        for, or the runtime's worker can't do it.
        """
        sets = chosen_sets(outcome, prepared)
        if not self.counts or not worker.info.get("concurrent") or not sets:
            return outcome
        run = sum(float(outcome.inputs[entry.name].get("seconds") or 0.0) for entry in sets)
        repeats = self.registry.format(cell.format).REPEATS
        # With its patience a plan takes up to (1 + PATIENCE) times that, and must not cost the cell its verdict.
        within = budget.left / (2 + PATIENCE)
        most = within if self.asked else min(MOST_SECONDS, within)
        key, before = "", None
        if self.cache is not None:
            key = from_threads.key_of(cell, artifact, worker, [entry.name for entry in sets])
            before = None if self.asked else from_threads.read(self.cache, key)
        wanted = plan(self.counts, run, load, artifact.size, repeats, most)
        # What a busy machine left no time for is tried as soon as there is.
        if before is not None and not before.covers(wanted.threads, wanted.clones):
            before = None
        notes = [f"{FROM_THREADS}: {wanted.left_out}"] if wanted.left_out else []
        if before is not None:
            wanted, notes = again(before.counts or self.counts, run, most), list(before.notes)
        record: dict[str, Any] = {"counts": list(wanted.threads), "clones": list(wanted.clones), "identical": False}
        if before is not None:
            record["before"] = {"counts": list(before.counts), "clones": list(before.clones)}
        if not wanted.threads and not wanted.clones:
            # What an earlier run has tried is told all the same.
            record = {**record, "identical": True, "results": 0, "seconds": 0.0}
            tried = record if before is not None else outcome.threads
            return replace(outcome, threads=tried, notes=(*outcome.notes, *notes))
        left = budget.left
        try:
            answer = self._ask(sets, wanted, artifact, worker, budget)
            tolerance = choose(prepared.tolerance, prepared.tolerances, cell)[0]
            narrows = self.registry.runtime(cell.runtime).NARROWS
            close = frozenset(n for n, e in outcome.inputs.items() if e["verdict"] == Verdict.IMPRECISE.value)
            trials = Trials(sets, artifact.signature, tolerance, narrows, close, worker.on_gpu, cell.format)
            verdict, message = trials.judge(answer, arrays.read(self._target), record, notes)
        except WorkerProblem as problem:
            numbers = ", ".join(map(str, sorted({*wanted.threads, *wanted.clones})))
            verdict, message = verdict_of(problem), f"while it ran from {numbers} threads at once: {problem}"
        except (*NONSENSE, UnsuitableInputs) as error:
            worker.close(kill=True)
            verdict, message = Verdict.ERROR, broken(cell.runtime, "from several threads at once", error)
        record["seconds"] = left - budget.left
        notes = list(dict.fromkeys(notes))
        outcome = replace(outcome, threads=record, notes=(*outcome.notes, *notes))
        if self.cache is not None:
            passed = verdict is Verdict.PASS and record["identical"]
            is_new = before is None and not self.asked
            if is_new or not passed:
                from_threads.forget(self.cache, key)
            if is_new and passed:
                counts, clones = tuple(record["counts"]), tuple(record["clones"])
                clonable = clones == wanted.clones
                kept = from_threads.Before(counts=counts, clones=clones, clonable=clonable, notes=tuple(notes))
                from_threads.keep(self.cache, key, kept)
        if verdict is Verdict.PASS:
            return outcome
        stage = Stage.COMPARE if verdict is Verdict.MISMATCH else Stage.RUN
        message = f"{message}\n{outcome.message}" if outcome.message else message
        return replace(outcome, verdict=verdict, stage=stage, message=message)

    @property
    def _target(self) -> Path:
        return self.folder / "concurrent.safetensors"

    def _ask(
        self, sets: Sequence[InputSet], wanted: Plan, artifact: Artifact, worker: AnyWorker, budget: Budget
    ) -> ConcurrentAnswer:
        self._target.unlink(missing_ok=True)
        answer = budget.ask(
            worker,
            "concurrent",
            outputs=str(self._target),
            threads=list(wanted.threads),
            clones=list(wanted.clones),
            repeats=wanted.repeats,
            calls=[
                {
                    "inputs": str(pairs.inputs_file(entry, artifact.signature, self.folder)),
                    **run_request(artifact.signature, entry),
                }
                for entry in sets
            ],
        )
        return read(answer, ConcurrentAnswer)


@dataclass(frozen=True)
class Trials:
    """Reads the answers to `concurrent`.

    tolerance: the cell's. narrows: see compare_runs. close: names of the sets that were imprecise when they ran alone.
    on_gpu: whether the worker uses a GPU. format: the cell's, whose generated sets may have another tolerance.
    """

    sets: Sequence[InputSet]
    signature: Signature
    tolerance: Tolerance
    narrows: Mapping[str, str]
    close: frozenset[str] = frozenset()
    on_gpu: bool = False
    format: str = ""

    def judge(
        self, answer: ConcurrentAnswer, found: Mapping[str, Any], record: dict[str, Any], notes: list[str]
    ) -> tuple[Verdict, str]:
        """Verdict and message; adds to the record and the notes. found: the arrays of the results that differ.

        Raises KeyError and the like for nonsense.
        """
        errors, mismatches = [], []
        exhausting = 0
        if not answer.clonable:
            record["clones"] = []
            reason = (answer.clone_error.message if answer.clone_error else "") or "its runtime makes none"
            notes.append(f"{FROM_THREADS}: no clones: {reason}")
        for trial in answer.trials:
            threads = f"{trial.threads} thread{'s' if trial.threads > 1 else ''}"
            where = f"run from {threads} at once on {_INSTANCES[trial.instance]}"
            if trial.failed:
                error, calls = trial.error or ErrorAnswer(), trial.failed + trial.results
                exhausting += self.on_gpu and exhausted.on_gpu(f"{error.type}: {error.message}")
                errors.append(f"{where}: {trial.failed} of {calls} calls fail: {error.type}: {error.message}")
            if trial.different:
                said = f"{where}: {trial.different} of {trial.results} results differ from those of serial runs"
                problem, apart = self._compared(trial, found)
                if problem:
                    mismatches.append(f"{said}; {problem}")
                else:
                    notes.append(f"{FROM_THREADS}: {said}, {apart}")
        record["identical"] = not any(trial.different or trial.failed for trial in answer.trials)
        record["results"] = sum(trial.results for trial in answer.trials)
        verdict = Verdict.MISMATCH if mismatches else Verdict.PASS
        if len(errors) > exhausting:
            verdict = Verdict.ERROR
        elif errors and not mismatches:
            verdict = Verdict.OUT_OF_MEMORY
        return verdict, "\n".join([*errors, *mismatches])

    def _compared(self, trial: Trial, found: Mapping[str, Any]) -> tuple[str, str]:
        """What is wrong with a result that differs, or "", and how far from the serial ones they are.

        One may be within the tolerance by luck, and another one isn't: the first that isn't is named.
        """
        if not trial.deviations:
            raise ValueError(f"{trial.different} results differ, and none of them is given")
        furthest: tuple[float, str] = (-1.0, "")
        for deviation in trial.deviations:
            problem, largest, said = self._one_compared(deviation, found)
            if problem:
                return problem, ""
            furthest = max(furthest, (largest, said))
        return "", furthest[1]

    def _one_compared(self, deviation: Deviation, found: Mapping[str, Any]) -> tuple[str, float, str]:
        """What is wrong with one result, or "", and how far it is from the serial one, also in words."""
        entry = self.sets[deviation.call]
        layout = self.signature.layout
        trees = [
            structured(tree, layout, self.signature, entry.outputs) for tree in (deviation.outputs, deviation.serial)
        ]
        runs = pairs.joined([(tree, found) for tree in trees], entry, self.signature)
        # As of the set when it ran alone, see InputSets.
        tolerance = of_generated(self.format, self.tolerance, entry.name) if entry.generated else self.tolerance
        result = compare_runs(runs[:1], entry, tolerance, self.narrows)
        # Beyond the tolerance where serial runs aren't, it is a mismatch however close: the threads are its cause.
        if result.verdict is Verdict.MISMATCH or (result.verdict is Verdict.IMPRECISE and entry.name not in self.close):
            return f"input set {entry.name!r}: {result.message}", 0.0, ""
        within = "within the tolerance" if result.verdict is Verdict.PASS else "as imprecise as these"
        largest, said = distance(*runs)
        return "", largest, f"{within}: {said}"


def distance(one: Run, other: Run) -> tuple[float, str]:
    """The largest difference of two results of the same structure, shapes and dtypes, and how far they are in words."""
    import numpy as np

    from ..compare import flatten

    elements = changed = 0
    largest = 0.0
    for path, key in flatten(one[0])[1].items():
        a, b = one[1][key], other[1][flatten(other[0])[1][path]]
        elements += a.size
        wide = "complex128" if a.dtype.kind == "c" else "float64"
        with np.errstate(all="ignore"):
            apart = np.abs(a.astype(wide) - b.astype(wide))
        # What differs in its bits alone (-0 and 0, two NaNs) isn't counted.
        changed += int(np.count_nonzero(apart))
        largest = max(largest, float(np.nanmax(apart, initial=0.0)))
    return largest, f"{changed} of {elements} elements, by {largest:.3g} at most"
