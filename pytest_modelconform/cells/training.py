"""The cells of what trains: gradients, trainings, and trainings across a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..compare import Reference, Tree, compare_tensor, flatten
from ..references.prepared import InputSet, Prepared
from ..references.training import by_rounding, named
from ..terms.case import Tolerance
from ..terms.cell import GRADIENTS, RESUME, TRAINING, CaseRef, Cell
from ..terms.outcome import Outcome, Stage, Verdict
from ..terms.runs import CHECKPOINT_FILE, DATA_FILE, LOSS_FILE
from ..terms.tolerances import choose
from ..workers import arrays
from .answers import SetResult, compared, details, summarise
from .case_host import Exports
from .pool import AnyWorker
from .protocol import NONSENSE, TrainAnswer, broken
from .stages import Budget, StageFailure, verdict_of
from .typed import read
from .worker import InlineWorker, WorkerProblem

# The directions of a `resume` cell, as reports name them.
FROM_EAGER, TO_EAGER = "from-eager", "to-eager"
_NUMBERS = ("bits", "reference_bits", "loss", "worst", "max_abs")


class Trainings:
    """Runs one cell's trainings in a worker that has loaded the artifact."""

    def __init__(
        self, exports: Exports, ref: CaseRef, prepared: Prepared, cell: Cell, worker: AnyWorker, budget: Budget
    ) -> None:
        self.exports = exports
        self.ref = ref
        self.prepared = prepared
        self.cell = cell
        self.worker = worker
        self.budget = budget
        self.train = prepared.train
        self.tolerance, self.notes = choose(prepared.tolerance, prepared.tolerances, cell)

    def outcome(self, folder: Path) -> Outcome:
        """The outcome of the cell; `folder` takes the files."""
        found = _TRIALS[self.cell.task](self, folder)
        outcome = summarise(found, named=lambda name, result: _SENTENCES[name])
        if len(found) == 1 and outcome.failed:
            outcome = replace(outcome, message=next(iter(found.values())).message)
        return replace(outcome, notes=(*outcome.notes, *self.notes, *self.prepared.content.notes))

    def gradients(self, folder: Path) -> dict[str, SetResult]:
        """∂loss/∂parameter after one backward pass."""
        return {GRADIENTS: self._tried(lambda: self._judged(GRADIENTS, *self._ask(folder, gradients=True)))}

    def training(self, folder: Path) -> dict[str, SetResult]:
        """Loss curve, parameters and buffers after all steps."""
        return {TRAINING: self._tried(lambda: self._judged(TRAINING, *self._ask(folder)))}

    def resume(self, folder: Path) -> dict[str, SetResult]:
        """Eager's checkpoint goes on here, and one of ours in eager."""
        step = self.train.resume_at
        if not step:
            why = "a training of one step has no checkpoint in between: give Train(steps=…) two or more"
            return {RESUME: SetResult(Verdict.UNSUPPORTED, Stage.RUN, why)}
        eager = {"step": step, "file": str(self.prepared.folder / CHECKPOINT_FILE)}
        ours = folder / "checkpoint.safetensors"

        def back() -> SetResult:
            self._ask(folder, checkpoint={"step": step, "file": str(ours)}, steps=step)
            target = folder / "resumed.safetensors"
            resumed = self.exports.resume(self.ref, self.prepared, ours, target, self.budget)
            answer = TrainAnswer(resumed.outputs, resumed.seconds)
            return self._judged(TRAINING, answer, arrays.read(target), after=step)

        return {
            FROM_EAGER: self._tried(lambda: self._judged(TRAINING, *self._ask(folder, resume=eager), after=step)),
            TO_EAGER: self._tried(back),
        }

    # -- the worker ------------------------------------------------------------------------------------------------

    def _ask(self, folder: Path, **more: Any) -> tuple[TrainAnswer, Mapping[str, arrays.Array]]:
        """Have the worker train; returns its answer and the tensors by key."""
        target = folder / "trained.safetensors"
        target.unlink(missing_ok=True)
        request = {
            name: getattr(self.train, name) for name in ("inputs", "target", "optimizer", "steps", "batch_size", "seed")
        }
        loss = {"loss": self.train.loss}
        if self.train.loss is None:
            loss = {"loss_module": str(self.prepared.folder / LOSS_FILE)}
        data = str(self.prepared.folder / DATA_FILE)
        answer = self.budget.ask(self.worker, "train", data=data, outputs=str(target), **(request | loss | more))
        return read(answer, TrainAnswer), arrays.read(target)

    def _tried(self, trial: Callable[[], SetResult]) -> SetResult:
        """What a trial comes to, as it stands in the report under `inputs`."""
        try:
            return trial()
        except WorkerProblem as problem:
            verdict, stage, message = verdict_of(problem), Stage.RUN, str(problem)
        except StageFailure as failure:
            verdict, stage, message = failure.verdict, failure.stage, f"in eager: {failure}"
        except NONSENSE as error:
            if isinstance(self.worker, InlineWorker):
                raise  # As in input_sets.py.
            self.exports.pool.discard(self.worker)
            verdict, stage = Verdict.ERROR, Stage.RUN
            message = broken(self.cell.runtime, "its answer can't be read", error)
        return SetResult(verdict, stage, message)

    def _judged(self, name: str, answer: TrainAnswer, found: Mapping[str, arrays.Array], after: int = 0) -> SetResult:
        """Compare what a training left with the references of `name`; after: the step that it began after."""
        entry = self.prepared.sets[name]
        result = compare(answer.outputs, found, entry, self.tolerance, self.train.steps, after)
        return replace(result, seconds=answer.seconds or 0.0)


_TRIALS = {GRADIENTS: Trainings.gradients, TRAINING: Trainings.training, RESUME: Trainings.resume}
_SENTENCES = {
    GRADIENTS: "gradients",
    TRAINING: "training",
    RESUME: "resume",
    FROM_EAGER: "resumed from eager's checkpoint",
    TO_EAGER: "its checkpoint, resumed in eager",
}


def compare(
    tree: Tree,
    found: Mapping[str, arrays.Array],
    entry: InputSet,
    tolerance: Tolerance,
    steps: int,
    after: int = 0,
) -> SetResult:
    """Compare what a training left with its references. The result is an entry of the report's `inputs`.

    tree, found: the worker's outputs and their tensors. steps: of the whole training; after: the step that it began
    after, so that the loss curve is shorter. Raises ValueError and the like for nonsense.
    """
    keys = flatten(entry.outputs)[1]
    actual = flatten(tree)[1]
    messages = _misfits(keys, actual, {key: named(key, steps) for key in keys.values()}, dict(tree["dict"]))
    comparable = not messages
    numbers: list[dict[str, Any]] = []
    outputs: dict[str, dict[str, Any]] = {}
    for path, key in keys.items():
        if path not in actual:
            continue
        where, array = named(key, steps), found[actual[path]]
        reference = entry.references[path]
        if key == "/loss" and after:
            reference = tail(reference, after)
        difference = compare_tensor(array, reference, tolerance, where=where, dtype=array.dtype.name)
        values = {name: getattr(difference, name) for name in _NUMBERS}
        if by_rounding(reference):
            values |= {"bits": None, "reference_bits": None}
        numbers.append(values)
        outputs[where] = {"dtype": array.dtype.name, "shape": list(array.shape), **values, **details(difference)}
        if not difference.ok:
            messages.append(difference.message)
    more = f"and {len(messages) - 8} more"
    shown = [*messages[:8], *([more] if len(messages) > 8 else [])]
    return compared(shown, numbers if comparable else (), outputs)


def _misfits(
    expected: Mapping[str, str], actual: Mapping[str, str], words: Mapping[str, str], kinds: Mapping[str, Tree]
) -> list[str]:
    """Say which tensors are there in one of the two only. kinds: the worker's answer, where None stands as such."""
    messages = []
    for path, key in expected.items():
        if path not in actual:
            kind, _, name = key.removeprefix("/").partition("/")
            there = name in dict(kinds.get(kind, {"dict": []}).get("dict", ()))
            messages.append(f"{words[key]} is {'none' if there else 'missing'}, the model has one")
    for path in actual:
        if path not in expected:
            kind, name = path.strip("[]").replace("'", "").split("][", 1) if "][" in path else (path, "")
            singular = {"gradients": "gradient of", "parameters": "parameter", "buffers": "buffer"}.get(kind, kind)
            messages.append(f"{singular} {name} is a tensor, the model has none")
    return messages


def tail(reference: Reference, after: int) -> Reference:
    """The reference of a curve without its first elements; its noise stays that of the whole."""
    return replace(
        reference,
        shape=(reference.shape[0] - after,),
        eager=reference.eager[after:],
        r=None if reference.r is None else reference.r[after:],
        floor=None if reference.floor is None else reference.floor[after:],
        codes=None if reference.codes is None else reference.codes[after:],
    )
