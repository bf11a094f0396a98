"""One cell from start to end: reference, export, load, run, compare. The only place that attributes a stage."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import artifacts, references
from .artifacts import Cache, hash_file, hash_of
from .case import Tolerance
from .compare import Tree, compare_structure, compare_tensor, flatten
from .formats.base import Signature
from .harness import BuildError
from .outcome import STYLES, Cell, Outcome, Stage, Verdict
from .pool import AnyWorker, Pool
from .references import InputSet, ModelFault, Prepared
from .registry import Registry
from .runtimes.base import WORKERS, missing_packages
from .runtimes.process import WorkerCrashed, WorkerLied, WorkerProblem, WorkerRefused, WorkerTimeout
from .workers import arrays
from .workers.arrays import numpy_dtype
from .workers.loop import WorkerError
from .workers.tensors import TensorFileError

_VERDICT_OF: dict[type[WorkerProblem], Verdict] = {
    WorkerRefused: Verdict.ERROR,
    WorkerLied: Verdict.ERROR,
    WorkerCrashed: Verdict.CRASH,
    WorkerTimeout: Verdict.TIMEOUT,
}
# The outputs of one run: their tree, and the arrays by its keys.
Run = tuple[Tree, Mapping[str, arrays.Array]]
_SMOKE_FILE = WORKERS / "host" / "smoke.py"


@dataclass(frozen=True)
class CaseRef:
    """Where a case is: its file, that file's path relative to the root, its name."""

    file: Path
    relative: str
    name: str


SMOKE = CaseRef(_SMOKE_FILE, "pytest_modelconform_smoke.py", "smoke")


class StageFailure(Exception):
    """A cell came to an end before it could be compared."""

    def __init__(self, stage: Stage, verdict: Verdict, message: str) -> None:
        super().__init__(message)
        self.stage = stage
        self.verdict = verdict

    def outcome(self) -> Outcome:
        """As the outcome of a cell."""
        return Outcome(self.verdict, self.stage, str(self))


@dataclass(frozen=True)
class Artifact:
    """A case stored in a format. seconds: what the export took when it was made."""

    folder: Path
    signature: Signature
    seconds: float
    size: int
    cached: bool


class Budget:
    """Seconds that a cell's own work may still take. Waiting for locks, builds and other cells is not counted."""

    def __init__(self, seconds: float, pool: Pool) -> None:
        self.left = seconds
        self.pool = pool

    def ask(self, worker: AnyWorker, op: str, **fields: Any) -> dict[str, Any]:
        """Ask a worker, at most for as long as is left. Raises a WorkerProblem."""
        begin = time.monotonic()
        self.pool.last_op = op
        try:
            return worker.ask(op, max(self.left, 0.001), **fields)
        except WorkerTimeout as error:
            raise WorkerTimeout(f"{error} (--modelconform-timeout)", error.details) from error
        except WorkerError as error:
            # Only a worker in this process raises these itself.
            raise WorkerRefused(error.kind, str(error), error.details, error.stage) from error
        finally:
            self.left -= time.monotonic() - begin


class Pipeline:
    """Runs cells. Keeps the case that it prepared last, and the exports that failed in this session."""

    def __init__(self, registry: Registry, cache: Cache, pool: Pool, timeout: float) -> None:
        self.registry = registry
        self.cache = cache
        self.pool = pool
        self.timeout = timeout
        self._prepared: tuple[CaseRef, Prepared] | None = None
        self._faults: dict[CaseRef, StageFailure] = {}
        self._failed_exports: dict[tuple[CaseRef, str], StageFailure] = {}
        self._smoked: set[tuple[int, str]] = set()
        self._folder = Path(tempfile.mkdtemp(prefix="modelconform-"))

    def close(self) -> None:
        """Remove the working folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    # -- the model check -------------------------------------------------------------------------------------------

    def check(self, ref: CaseRef) -> Outcome:
        """The cell `case[eager]`: is there something to compare with?"""
        try:
            prepared = self.prepare(ref, Budget(self.timeout, self.pool))
        except StageFailure as failure:
            return failure.outcome()
        numbers = []
        inputs: dict[str, dict[str, Any]] = {}
        for name, entry in prepared.sets.items():
            found = [_eager_numbers(reference) for reference in entry.references.values()]
            numbers += found
            inputs[name] = {"verdict": Verdict.PASS.value, **_merge(found)}
        seconds = {"run": sum(entry["seconds"] for entry in prepared.content["sets"].values())}
        notes = tuple(prepared.content["notes"])
        return Outcome(
            Verdict.PASS, inputs=inputs, seconds=seconds, cached=prepared.cached, notes=notes, **_merge(numbers)
        )

    def prepare(self, ref: CaseRef, budget: Budget) -> Prepared:
        """The references of a case, from the cache or made. Raises StageFailure; again for a case that failed."""
        if self._prepared and self._prepared[0] == ref:
            return self._prepared[1]
        if ref in self._faults:
            raise self._faults[ref]
        try:
            prepared = self._prepare(ref, budget)
        except StageFailure as failure:
            self._faults[ref] = failure
            raise
        self._prepared = (ref, prepared)
        return prepared

    def _prepare(self, ref: CaseRef, budget: Budget) -> Prepared:
        key = hash_of("reference", artifacts.fingerprint(), str(ref.file), ref.relative, ref.name, hash_file(ref.file))
        if found := self._cached(key):
            return found
        with self.cache.lock(f"case-{key}"):
            if found := self._cached(key):
                return found
            folder = Path(tempfile.mkdtemp(prefix=".making-", dir=self.cache.folder / "references"))
            try:
                request = self._request(ref)
                answer = self._ask_host(budget, Stage.REFERENCE, "reference", folder=str(folder), **request)
                content = {name: value for name, value in answer.items() if name not in ("id", "ok", "files")}
                try:
                    content["notes"] = references.make(folder, content)
                except ModelFault as fault:
                    raise StageFailure(Stage.REFERENCE, Verdict.ERROR, f"case {ref.name!r}: {fault}") from fault
                content = self.cache.write_case(key, content, answer["files"], folder)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
        return Prepared(content, self.cache.folder / "references" / content["digest_of_all"], cached=False)

    def _cached(self, key: str) -> Prepared | None:
        content = self.cache.read_case(key)
        if content is None:
            return None
        folder = self.cache.folder / "references" / content["digest_of_all"]
        return Prepared(content, folder, cached=True) if folder.is_dir() else None

    @staticmethod
    def _request(ref: CaseRef) -> dict[str, Any]:
        return {"file": str(ref.file), "relative": ref.relative, "case": ref.name}

    def _ask_host(self, budget: Budget, stage: Stage, op: str, *, retry: bool = True, **fields: Any) -> dict[str, Any]:
        """Ask the case host; what fails in a used one is tried again in a fresh one, whose answer counts."""
        worker = self._start(self.pool.host)
        used, worker.used = worker.used, True
        try:
            return budget.ask(worker, op, **fields)
        except WorkerProblem as problem:
            if isinstance(problem, WorkerRefused) and not (used and retry):
                raise _failure(problem, stage) from problem
            self.pool.discard(worker)
            if not (used and retry):
                raise _failure(problem, stage) from problem
        worker = self._start(self.pool.host)
        worker.used = True
        try:
            return Budget(self.timeout, self.pool).ask(worker, op, **fields)
        except WorkerProblem as problem:
            if not isinstance(problem, WorkerRefused):
                self.pool.discard(worker)
            raise _failure(problem, stage) from problem

    @staticmethod
    def _start(start: Callable[[], AnyWorker]) -> AnyWorker:
        try:
            return start()
        except BuildError as error:
            raise StageFailure(Stage.ENVIRONMENT, Verdict.ERROR, f"the C++ harness can't be built: {error}") from error
        except WorkerProblem as problem:
            verdict = _VERDICT_OF[type(problem)]
            raise StageFailure(Stage.ENVIRONMENT, verdict, f"the worker does not start: {problem}") from problem

    # -- a cell ----------------------------------------------------------------------------------------------------

    def unavailable(self, cell: Cell) -> str | None:
        """None if a cell's format and runtime are there, else what to do."""
        reason = self.registry.runtime(cell.runtime).unavailable(cell.device)
        if reason:
            return (
                f"runtime {cell.runtime} {reason}"
                if reason.startswith("needs ")
                else f"runtime {cell.runtime}: {reason}"
            )
        reason = missing_packages(self.registry.format(cell.format).REQUIRES)
        return f"format {cell.format} {reason}" if reason else None

    def run(self, ref: CaseRef, cell: Cell, expects: Callable[[Outcome], bool] = lambda outcome: False) -> Outcome:
        """The outcome of a cell. `expects` says whether a failure is the recorded one: it is then not tried again."""
        if reason := self.unavailable(cell):
            return Outcome(Verdict.UNAVAILABLE, Stage.ENVIRONMENT, reason)
        outcome, fresh = self._attempt(ref, cell, expects)
        if fresh or not outcome.failed or expects(outcome):
            return outcome
        # State leaks between cells in a long-lived worker: the verdict of a fresh one counts.
        first = outcome
        outcome, _ = self._attempt(ref, cell, expects)
        if outcome.verdict is not first.verdict:
            note = (
                f"depends on order: in a process that had run other cells it was {first.verdict.value}: {first.message}"
            )
            outcome = replace(outcome, notes=(*outcome.notes, note))
        return outcome

    def _attempt(self, ref: CaseRef, cell: Cell, expects: Callable[[Outcome], bool]) -> tuple[Outcome, bool]:
        """One try, and whether its verdict was found in a fresh worker (or does not depend on one)."""
        budget = Budget(self.timeout, self.pool)
        seconds: dict[str, float] = {}
        found: dict[str, Any] = {"seconds": seconds}
        worker: AnyWorker | None = None
        used = False
        try:
            prepared = self._reference_for(ref, budget)
            artifact = self.artifact(ref, prepared, cell, budget, expects)
            seconds["export"] = artifact.seconds
            found |= {"artifact_bytes": artifact.size, "cached": artifact.cached}
            worker = self.worker(cell)
            used, worker.used = worker.used, True
            request = self.registry.runtime(cell.runtime).load_request(artifact.folder, artifact.signature)
            try:
                answer = budget.ask(worker, "load", **request)
            except WorkerProblem as problem:
                raise _failure(problem, Stage.LOAD) from problem
            seconds["load"] = _number(answer.get("seconds"))
            outcome = self._run_sets(cell, prepared, artifact, worker, budget, seconds)
            if worker.alive:
                budget.ask(worker, "unload")
        except StageFailure as failure:
            outcome = failure.outcome()
        except WorkerProblem as problem:
            outcome = _failure(problem, Stage.RUN).outcome()
        if worker is not None and outcome.failed and used and not expects(outcome):
            self.pool.discard(worker)
        return replace(outcome, **found), not used

    def _reference_for(self, ref: CaseRef, budget: Budget) -> Prepared:
        try:
            return self.prepare(ref, budget)
        except StageFailure as failure:
            if failure.stage not in (Stage.REFERENCE, Stage.BUILD, Stage.COLLECT):
                raise
            first = str(failure).splitlines()[0]
            raise StageFailure(
                Stage.REFERENCE,
                Verdict.ERROR,
                f"the model itself is not fit to be compared with, see {ref.name}[eager]: {first}",
            ) from failure

    def worker(self, cell: Cell) -> AnyWorker:
        """A live worker of a cell's runtime that has run the smoke model in the cell's format."""
        worker = self._start(lambda: self.pool.runtime(cell.runtime, cell.device))
        if (id(worker), cell.format) in self._smoked or worker.used:
            return worker
        smoke = replace(cell, case=SMOKE.name, file=SMOKE.relative)
        budget = Budget(self.timeout, self.pool)
        try:
            prepared = self._prepare(SMOKE, budget)
            artifact = self.artifact(SMOKE, prepared, smoke, budget, lambda outcome: False)
            budget.ask(
                worker, "load", **self.registry.runtime(cell.runtime).load_request(artifact.folder, artifact.signature)
            )
            outcome = self._run_sets(smoke, prepared, artifact, worker, budget, {})
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
        self._smoked.add((id(worker), cell.format))
        return worker

    def artifact(
        self, ref: CaseRef, prepared: Prepared, cell: Cell, budget: Budget, expects: Callable[[Outcome], bool]
    ) -> Artifact:
        """The artifact of a case in a format, from the cache or made. Raises StageFailure."""
        if failure := self._failed_exports.get((ref, cell.format)):
            raise failure
        module = self.registry.format(cell.format)
        key = hash_of("artifact", prepared.key, cell.format, module.VERSION, artifacts.fingerprint())
        target = self.cache.folder / "artifacts" / key
        used = not target.is_dir() and self._start(self.pool.host).used
        try:
            folder, cached = self._export(ref, prepared, cell, key, budget)
        except StageFailure as failure:
            # An exporter that fails in a host that has exported before may fail because of that.
            if used and not expects(failure.outcome()):
                self.pool.discard(self._start(self.pool.host))
                try:
                    folder, cached = self._export(ref, prepared, cell, key, Budget(self.timeout, self.pool))
                except StageFailure as again:
                    self._failed_exports[ref, cell.format] = again
                    raise
            else:
                self._failed_exports[ref, cell.format] = failure
                raise
        made = artifacts.read_json(folder / "export.json")
        return Artifact(folder, artifacts.read_json(folder / "signature.json"), made["seconds"], made["bytes"], cached)

    def _export(self, ref: CaseRef, prepared: Prepared, cell: Cell, key: str, budget: Budget) -> tuple[Path, bool]:
        module = self.registry.format(cell.format)

        def make(folder: Path) -> None:
            if ref is not SMOKE:
                # The runtime's process imports its framework meanwhile.
                self.pool.prestart(cell.runtime, cell.device)
            answer = self._ask_host(
                budget,
                Stage.EXPORT,
                "export",
                retry=False,
                module=module.__name__,  # type: ignore[attr-defined]
                digest=prepared.digest,
                output_paths=prepared.output_paths,
                folder=str(folder),
                **self._request(ref),
            )
            made = {"seconds": _number(answer.get("seconds")), "bytes": int(answer.get("bytes", 0))}
            (folder / "export.json").write_text(artifacts.dumps(made))

        return self.cache.produce("artifacts", key, make)

    def _run_sets(
        self,
        cell: Cell,
        prepared: Prepared,
        artifact: Artifact,
        worker: AnyWorker,
        budget: Budget,
        seconds: dict[str, float],
    ) -> Outcome:
        inputs: dict[str, dict[str, Any]] = {}
        for name, entry in prepared.sets.items():
            if not worker.alive:
                inputs[name] = {"verdict": Verdict.NOT_RUN.value, "message": "the worker died in another input set"}
                continue
            inputs[name] = self._run_set(cell, entry, artifact, worker, budget, prepared.tolerance)
        seconds["run"] = sum(_number(entry.get("seconds")) for entry in inputs.values())
        return summarise(inputs, artifact.signature)

    def _run_set(
        self, cell: Cell, entry: InputSet, artifact: Artifact, worker: AnyWorker, budget: Budget, tolerance: Tolerance
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
            runs = read_runs(answer, target, repeats)
        except WorkerRefused as problem:
            if conflict:
                return {"verdict": Verdict.UNSUPPORTED.value, "stage": stage.value, "message": f"{conflict}: {problem}"}
            return {"verdict": Verdict.ERROR.value, "stage": stage.value, "message": str(problem)}
        except WorkerProblem as problem:
            return {"verdict": _VERDICT_OF[type(problem)].value, "stage": stage.value, "message": str(problem)}
        except UnsuitableInputs as error:
            return {"verdict": Verdict.UNSUPPORTED.value, "stage": stage.value, "message": str(error)}
        except (TensorFileError, KeyError, ValueError, TypeError, OSError, StopIteration) as error:
            self.pool.discard(worker)
            message = f"{cell.runtime} broke the protocol: its outputs can't be read: {type(error).__name__}: {error}"
            return {"verdict": Verdict.ERROR.value, "stage": stage.value, "message": message}
        narrows = self.registry.runtime(cell.runtime).NARROWS
        result = compare_runs(runs, artifact.signature, entry, tolerance, narrows)
        changed = sorted(set(answer.get("inputs_changed", ())) - entry.inputs_changed)
        if changed and result["verdict"] == Verdict.PASS.value:
            message = f"changes its input {changed[0]} in place, the model does not"
            result |= {"verdict": Verdict.MISMATCH.value, "stage": Stage.COMPARE.value, "message": message}
        result["seconds"] = min(_number(run.get("seconds")) for run in answer["runs"])
        if conflict and result["verdict"] == Verdict.MISMATCH.value:
            result["message"] += f"; {conflict}, and the runtime runs it all the same"
        return result


class UnsuitableInputs(Exception):
    """An input set has other tensors than the one that was exported."""


def run_request(signature: Signature, entry: InputSet) -> dict[str, Any]:
    """The part of a `run` request that says what to call the artifact with. Raises UnsuitableInputs."""
    if signature["layout"] == "tree":
        return {"args": entry.args, "kwargs": entry.kwargs}
    feeds = [[value["name"], value["path"]] for value in signature["inputs"]]
    known = {value["path"] for value in signature["inputs"]} | set(signature["dropped"])
    if set(entry.shapes) != known:
        odd = sorted(set(entry.shapes) ^ known)[0]
        raise UnsuitableInputs(
            f"the artifact takes {len(known)} tensors, as the input set that it was exported with; this one has "
            f"{len(entry.shapes)} ({odd} is in one of them only)"
        )
    return {"feeds": feeds, "fetches": [value["name"] for value in signature["outputs"]]}


def static_conflict(signature: Signature, entry: InputSet) -> str | None:
    """A sentence if the artifact's signature declares a shape that the input set does not have."""
    for value in signature.get("inputs") or ():
        shape = entry.shapes.get(value["path"])
        if shape is None:
            return f"the artifact has an input {value['path']}, this input set has none"
        declared = value["shape"]
        if len(shape) != len(declared) or any(
            isinstance(d, int) and d != s for d, s in zip(declared, shape, strict=True)
        ):
            said = ", ".join(map(str, declared))
            return (
                f"the artifact declares {value['path']} as ({said}), this input set has ({', '.join(map(str, shape))})"
            )
    return None


def read_runs(answer: Mapping[str, Any], file: Path, repeats: int) -> list[Run]:
    """The distinct results among the repeats: trees, and arrays by key. Raises ValueError and others for nonsense."""
    runs = answer["runs"]
    if len(runs) != repeats:
        raise ValueError(f"{len(runs)} runs instead of {repeats}")
    found = arrays.read(file)
    distinct: list[Run] = []
    for i, run in enumerate(runs):
        if "same_as" in run:
            if not 0 <= run["same_as"] < i:
                raise ValueError(f"run {i} is said to be the same as run {run['same_as']}")
            continue
        keys = flatten(run["outputs"])[1].values()
        distinct.append((run["outputs"], {key: found[key] for key in keys}))
    return distinct


def named_outputs(tree: Tree, signature: Signature, expected: Tree) -> Tree:
    """A flat runtime's outputs in the model's structure: each goes where the signature says that it belongs."""
    if signature["layout"] == "tree":
        return tree
    by_name = {name: value["tensor"] for name, value in tree["dict"]}
    by_path = {value["path"]: by_name[value["name"]] for value in signature["outputs"]}
    return _substitute(expected, by_path)


def _substitute(tree: Tree, keys: Mapping[str, str]) -> Tree:
    kind, content = next(iter(tree.items()))
    if kind == "tensor":
        return {"tensor": keys[content]}
    if kind in ("list", "tuple"):
        return {kind: [_substitute(item, keys) for item in content]}
    if kind == "dict":
        return {"dict": [[name, _substitute(item, keys)] for name, item in content]}
    return tree


def compare_runs(
    runs: Sequence[Run],
    signature: Signature,
    entry: InputSet,
    tolerance: Tolerance,
    narrows: Mapping[str, str],
) -> dict[str, Any]:
    """Compare every distinct result with the references of an input set; the worst numbers count.

    narrows: dtypes that the runtime is known to return narrower, which is then no difference.
    """
    numbers = []
    messages: list[str] = []
    outputs: dict[str, dict[str, Any]] = {}
    for number, (tree, found) in enumerate(runs):
        again = f"run {number + 1} (the first one gave other bits): " if number else ""
        tree = named_outputs(tree, signature, entry.outputs)
        faults = compare_structure(entry.outputs, tree)
        messages += [again + fault for fault in faults]
        if faults:
            continue
        for path, key in flatten(tree)[1].items():
            array = found[key]
            if narrows.get(entry.references[path].dtype) == array.dtype.name:
                array = array.astype(numpy_dtype(entry.references[path].dtype))
            difference = compare_tensor(
                array, entry.references[path], tolerance, where=f"output{path}", dtype=array.dtype.name
            )
            values = {name: getattr(difference, name) for name in _NUMBERS}
            numbers.append(values)
            outputs.setdefault(f"output{path}", {"dtype": array.dtype.name, "shape": list(array.shape), **values})
            if not difference.ok:
                messages.append(again + difference.message)
    verdict = Verdict.MISMATCH if messages else Verdict.PASS
    result: dict[str, Any] = {"verdict": verdict.value, **_merge(numbers), "outputs": outputs}
    if messages:
        result |= {"stage": Stage.COMPARE.value, "message": "\n".join(messages[:8])}
    return result


def summarise(inputs: dict[str, dict[str, Any]], signature: Signature) -> Outcome:
    """The outcome of a cell from the results of its input sets."""
    ran = {name: entry for name, entry in inputs.items() if entry["verdict"] != Verdict.UNSUPPORTED.value}
    name, worst = max((ran or inputs).items(), key=lambda item: STYLES[Verdict(item[1]["verdict"])].rank)
    verdict = Verdict(worst["verdict"])
    failing = [(n, e) for n, e in ran.items() if STYLES[Verdict(e["verdict"])].outcome == "failed"]
    message = "\n".join(f"input set {n!r}: {e.get('message', '')}" for n, e in failing)
    if verdict is Verdict.UNSUPPORTED:
        message = f"input set {name!r}: {worst.get('message', '')}"
    notes = [f"input set {n!r} is unsupported: {e['message']}" for n, e in inputs.items() if n not in ran]
    if signature.get("dropped"):
        notes.append(f"the exporter dropped unused inputs: {', '.join(signature['dropped'])}")
    stage = Stage(worst["stage"]) if worst.get("stage") and verdict is not Verdict.PASS else None
    return Outcome(verdict, stage, message, inputs=inputs, notes=tuple(notes), **_merge(list(ran.values())))


_NUMBERS = ("bits", "reference_bits", "loss", "worst", "max_abs")
_WORST: dict[str, Callable[..., float]] = {
    "bits": min,
    "reference_bits": min,
    "loss": max,
    "worst": max,
    "max_abs": max,
}


def _merge(numbers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for name in _NUMBERS:
        values = [float(entry[name]) for entry in numbers if entry.get(name) is not None]
        merged[name] = _WORST[name](values) if values else None
    return merged


def _eager_numbers(reference: Any) -> dict[str, Any]:
    eager = reference.eager_numbers
    return {
        "bits": eager.bits,
        "reference_bits": reference.reference_bits,
        "loss": eager.loss,
        "worst": eager.worst,
        "max_abs": eager.max_abs,
    }


def _failure(problem: WorkerProblem, stage: Stage) -> StageFailure:
    """A worker's problem at a stage. The worker's own word on the stage counts where it gives one."""
    if isinstance(problem, WorkerRefused) and problem.stage:
        stage = Stage(problem.stage)
    return StageFailure(stage, _VERDICT_OF[type(problem)], str(problem))


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
