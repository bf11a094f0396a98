"""A worker, whether its runtime works at all, and a cell's artifact loaded in it."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..cache import spare
from ..cache.made_once import BuildError
from ..environments.outside import ModuleFault
from ..terms import memory
from ..terms.cell import FULL, INFERENCE, Cell
from ..terms.exports import base_of
from ..terms.outcome import NOT_TESTED, Outcome, Stage, Verdict
from . import own_operators, typed
from .case_host import Exports
from .columns import SMOKE
from .concurrency import AtOnce
from .input_sets import InputSets
from .pool import AnyWorker, Pool
from .protocol import LoadAnswer
from .registry import Registry
from .second_look import SecondLook
from .stages import Artifact, Budget, StageFailure, failure_of, kept, start, without_room
from .worker import WorkerProblem


@dataclass(frozen=True)
class Tools:
    """What attempts work with. timeout: seconds for one. folder: for their files. second_look: for near misses."""

    registry: Registry
    pool: Pool
    exports: Exports
    at_once: AtOnce
    timeout: float
    folder: Path
    second_look: SecondLook

    def budget(self) -> Budget:
        """What one attempt may take."""
        return Budget(self.timeout, self.pool)

    @property
    def outputs(self) -> Path:
        """The file for a worker's outputs."""
        return self.folder / "outputs.safetensors"


def running(tools: Tools, cell: Cell) -> AnyWorker:
    """A live worker of a cell's runtime. Raises StageFailure."""
    return start(functools.partial(tools.pool.runtime, cell.runtime, cell.device))


def check_runtime(tools: Tools, cell: Cell) -> None:
    """See to it that a cell's runtime runs the smoke model in the cell's format. Raises StageFailure if it doesn't.

    Asked when the first cell of a worker has failed: one that has passed tells as much, and costs no export. A fresh
    worker is asked, which then stays.
    """
    worker = running(tools, cell)
    if worker.used:
        tools.pool.discard(worker)
        worker = running(tools, cell)
    if base_of(cell.format) in worker.smoked:
        return
    if fault := _smoke(tools, cell, worker):
        tools.pool.discard(worker)
        if fault.startswith(NOT_TESTED):
            raise StageFailure(Stage.ENVIRONMENT, Verdict.ERROR, fault)
        message = (
            f"runtime {cell.runtime} can't run even the smoke model (y = 3x + 1) in the format {base_of(cell.format)}"
        )
        raise StageFailure(Stage.ENVIRONMENT, Verdict.ERROR, f"{message}: {fault}")
    worker.smoked.add(base_of(cell.format))


def _smoke(tools: Tools, cell: Cell, worker: AnyWorker) -> str:
    """What is wrong with a worker that runs the smoke model, or "". Tells a broken runtime from a broken model."""
    ref = replace(SMOKE, name=tools.registry.format(cell.format).SMOKE)
    usual = {"dtype": SMOKE.dtype, "precision": FULL, "task": INFERENCE}
    # As the plugin exports it: whether the runtime works is no matter of a case's own export.
    smoke = replace(cell, case=ref.name, file=ref.relative, format=base_of(cell.format), **usual)
    budget = tools.budget()
    try:
        prepared = tools.exports.find(ref, budget)
        artifact = tools.exports.artifact(ref, prepared, smoke, budget, lambda outcome: False)
        request = load_request(tools, smoke, artifact, ref.file.parent)
        with tools.pool.turns.held() if worker.on_gpu else contextlib.nullcontext():
            budget.ask(worker, "load", precision=smoke.precision, **request)
            sets = InputSets(tools.registry, tools.pool, smoke, prepared, artifact, worker, budget, tools.outputs)
            ran = sets.outcome()
    except StageFailure as failure:
        return str(failure) if failure.is_of_disk else f"at stage {failure.stage.value}: {failure}"
    except WorkerProblem as problem:
        return without_room(Outcome(Verdict.ERROR, Stage.RUN, str(problem)), tools.folder).message
    outcome = without_room(ran.outcome, tools.folder)
    return outcome.message if outcome.failed else ""


def unspoilt(tools: Tools, cell: Cell, artifact: Artifact, beside: Path, worker: AnyWorker) -> AnyWorker:
    """A worker that knows no operators and classes of other cases, where the artifact has some. Raises StageFailure.

    What is registered stays for good: operators of another case would let this one pass though it names none, and a
    class may have the name of another folder's.
    """
    own = _registers(tools, cell, artifact, beside)
    asks = own_operators.may_call(artifact.signature) or "containers" in artifact.signature.stored
    if worker.registered <= own or not asks:
        return worker
    tools.pool.discard(worker)
    return running(tools, cell)


def load(tools: Tools, cell: Cell, artifact: Artifact, beside: Path, worker: AnyWorker, budget: Budget) -> float:
    """Have a worker load an artifact; the seconds that it took. Raises StageFailure.

    beside: the folder of the case's file, whose modules may define classes that the artifact takes or returns.
    """
    request = load_request(tools, cell, artifact, beside)
    what = f"to load and run {artifact.size / 1e9:.1f} GB in {cell.runtime}"
    needed, reservations = _needed(tools, cell, artifact), tools.pool.reservations
    if lacking := memory.lacking_after_a_while(what, needed, lambda: reservations.claim(needed)):
        reservations.give_up()
        raise StageFailure(Stage.LOAD, Verdict.UNAVAILABLE, lacking)
    worker.registered |= _registers(tools, cell, artifact, beside)
    try:
        found = budget.ask(worker, "load", precision=cell.precision, **request)
        answer = typed.answer(worker, "load", found, LoadAnswer)
    except WorkerProblem as problem:
        failure = failure_of(problem, Stage.LOAD)
        if more := own_operators.advice(artifact.signature, Path(cell.file), str(failure)):
            failure = StageFailure(failure.stage, failure.verdict, f"{more}\n{failure}")
        raise failure from problem
    return answer.seconds or 0.0


def _registers(tools: Tools, cell: Cell, artifact: Artifact, beside: Path) -> set[str]:
    """What loading an artifact registers in a worker, but for what packages do: that is the same for all cases."""
    operators = own_operators.names(tools.registry.runtime(cell.runtime), artifact.signature)
    modules = artifact.signature.stored.get("containers", ())
    tops = [beside / name.partition(".")[0] for name in modules]
    return operators | {str(top) for top in tops if top.is_dir() or top.with_suffix(".py").is_file()}


def _needed(tools: Tools, cell: Cell, artifact: Artifact) -> float:
    """Bytes of memory that a cell's load takes. Raises StageFailure where the runtime's module fails to say.

    What a runtime says holds for what it was measured with: others may be widened, copied or trained.
    """
    if (cell.dtype, cell.precision, cell.task) != ("float32", FULL, INFERENCE):
        return memory.LOAD * artifact.size
    try:
        return tools.registry.runtime(cell.runtime).memory(artifact.size, artifact.signature.stored)
    except ModuleFault as fault:
        raise StageFailure(Stage.ENVIRONMENT, Verdict.ERROR, str(fault)) from fault


def load_request(tools: Tools, cell: Cell, artifact: Artifact, beside: Path) -> dict[str, Any]:
    """What a cell's runtime is asked to load. Raises StageFailure where what it needs can't be built."""
    runtime = tools.registry.runtime(cell.runtime)
    try:
        request = runtime.load_request(artifact.folder, artifact.signature.stored)
        stored, progress = artifact.signature.stored, tools.pool.progress
        request |= kept(lambda: spare.attempt(tools.pool.cache, lambda c: runtime.build(stored, c, progress)))
    except ModuleFault as fault:
        raise StageFailure(Stage.ENVIRONMENT, Verdict.ERROR, str(fault)) from fault
    except BuildError as error:
        raise StageFailure(Stage.BUILD, Verdict.ERROR, str(error)) from error
    if why := own_operators.unsupported(runtime, artifact.signature):
        raise StageFailure(Stage.LOAD, Verdict.UNSUPPORTED, f"runtime {cell.runtime} can't: {why}")
    if "containers" in request:
        request["path"] = [str(beside), *tools.pool.path]
    return request | own_operators.fields(
        runtime, artifact.signature, request, tools.pool.cache, tools.pool.path, tools.pool.progress
    )
