"""The cells of a sequence: an artifact run step by step, each step fed with what the one before returned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..compare import flatten
from ..references.content import Wire
from ..references.prepared import InputSet
from ..terms.cell import INFERENCE
from ..terms.limits import TRANSPOSED_INPUTS
from ..terms.outcome import Outcome, Verdict
from ..terms.runs import step
from ..terms.tolerances import choose
from ..workers import arrays, tensors
from ..workers.tensors import Tensor
from .answers import Run, SetResult, merge
from .input_sets import InputSets, Ran

# What a step returned that the next one takes, by its path in the call.
State = Mapping[str, Tensor]
# After one of these the next step may be fed all the same: it shows how far a fault goes.
_GOES_ON = (Verdict.PASS, Verdict.IMPRECISE, Verdict.MISMATCH)
_NO_STATE = "the step before returned nothing that this one could be fed with"


@dataclass
class Steps:
    """Runs what a worker has loaded step by step. sets: how one is run and compared. folder: for what is fed.

    made_row_major: whether a transposed output was fed back to a format that takes none.
    """

    sets: InputSets
    folder: Path
    made_row_major: bool = field(default=False, init=False)

    def outcome(self) -> Outcome:
        """Run and compare each step; those behind one that returned nothing are not run."""
        results: dict[str, SetResult] = {}
        state: State | None = {}
        for entry in self._entries:
            if state is None or not self.sets.worker.alive:
                results[entry.name] = SetResult(Verdict.NOT_RUN, message=_NO_STATE)
                continue
            result, state = self._step(entry, state)
            results[entry.name] = replace(result, shapes=entry.shapes)
        return self._summary(results)

    @property
    def _entries(self) -> Sequence[InputSet]:
        sets = self.sets.judge.sets
        return [sets[step(number)] for number in range(1, len(sets) + 1)]

    def _step(self, entry: InputSet, state: State) -> tuple[SetResult, State | None]:
        """The result of a step, and what the next one takes of it; None where there is nothing."""
        if found := self.sets.limit(entry):
            return found, None
        ran = self.sets.run(self._fed(entry, state), repeats=1)
        if not isinstance(ran, Ran):
            return ran, None
        result, _ = self.sets.compare(entry, ran)
        after = self._state(entry, ran.runs[0])
        if result.verdict is Verdict.MISMATCH and state and self.sets.worker.alive:
            result = replace(result, message=f"{result.message}\n{self._with_eagers_state(entry)}")
        return result, after if result.verdict in _GOES_ON else None

    def _fed(self, entry: InputSet, state: State) -> InputSet:
        """The step with its own state in place of eager's. Tensors keep their strides, as where they stay in memory."""
        if not state:
            return entry
        file = self.folder / "fed.safetensors"
        file.unlink(missing_ok=True)
        tensors.write(str(file), {**tensors.read(str(entry.file)), **state})
        return replace(entry, file=file)

    def _state(self, entry: InputSet, run: Run) -> State | None:
        """What a run returned for the next step; None where it lacks some of that."""
        tree, _ = run
        try:
            # Paths as messages write them are the same in both; keys are the host's there, and the worker's here.
            actual = flatten(tree)[1]
            keys = {key: actual[path] for path, key in flatten(entry.outputs)[1].items()}
        except KeyError:
            return None
        written = tensors.read(str(self.sets.target))
        wires = self.sets.judge.steps.wires
        if any(keys[wire.returned] not in written for wire in wires):
            return None
        return {wire.taken: self._as_taken(entry, wire, written[keys[wire.returned]]) for wire in wires}

    def _as_taken(self, entry: InputSet, wire: Wire, tensor: Tensor) -> Tensor:
        """A tensor as the artifact takes it: in the model's dtype, where the runtime is known to narrow it."""
        path = next(path for path, key in flatten(entry.outputs)[1].items() if key == wire.returned)
        wanted = entry.references[path].dtype
        narrows = self.sets.registry.runtime(self.sets.cell.runtime).NARROWS
        if tensor.dtype != wanted and narrows.get(wanted) == tensor.dtype:
            tensor = arrays.from_array(arrays.to_array(tensor).astype(arrays.numpy_dtype(wanted)))
        if tensor.order is not None and self._is_row_major_only:
            self.made_row_major = True
            tensor = tensor._replace(order=None)
        return tensor

    @property
    def _is_row_major_only(self) -> bool:
        registry, cell = self.sets.registry, self.sets.cell
        through = registry.made_through(cell.format, self.sets.judge.content.framework, self.sets.own)
        limits = [registry.runtime(cell.runtime).LIMITS, *(registry.format(name).LIMITS for name in through)]
        return any(TRANSPOSED_INPUTS in limited for limited in limits)

    def _with_eagers_state(self, entry: InputSet) -> str:
        """What a step that is wrong comes to when it begins with PyTorch's own state, in a sentence."""
        ran = self.sets.run(entry, repeats=1)
        if not isinstance(ran, Ran):
            return "With PyTorch's own state this step ends otherwise: " + ran.message.partition("\n")[0]
        if self.sets.compare(entry, ran)[0].verdict is Verdict.PASS:
            return "With PyTorch's own state this step is right: the error has come with what was fed back to it"
        return "It is wrong with PyTorch's own state, too: look at this step's inputs, not at those before it"

    def _summary(self, results: Mapping[str, SetResult]) -> Outcome:
        """The outcome of the cell: a step that fails, or can't be run, is one of the whole sequence.

        The first such step decides, unless one before it is a mismatch. What is imprecise may yet become one.
        """
        ended = next((n for n, result in results.items() if result.verdict not in _GOES_ON), None)
        wrong = next((n for n, result in results.items() if result.verdict is Verdict.MISMATCH), None)
        close = next((n for n, result in results.items() if result.verdict is Verdict.IMPRECISE), None)
        decides = wrong or ended or close
        seconds = {"run": sum(result.seconds or 0.0 for result in results.values())}
        tolerance_notes = choose(self.sets.judge.tolerance, self.sets.judge.tolerances, self.sets.cell)[1]
        notes = [*tolerance_notes]
        if self.made_row_major:
            notes.append(
                "outputs that are transposed in memory were made row-major before they were fed back: the column takes "
                "no transposed tensors"
            )
        if close and not (wrong or ended):
            single = replace(self.sets.cell, task=INFERENCE).name
            notes.append(f"its cause is looked for in single calls only: {single}")
        counted = [result.numbers for result in results.values() if result.verdict is not Verdict.NOT_RUN]
        if decides is None:
            verdict, stage, message = Verdict.PASS, None, ""
        else:
            verdict, stage = results[decides].verdict, results[decides].stage
            message = self._message(results, decides)
            if verdict is Verdict.MISMATCH:
                counted = [r.numbers for r in results.values() if r.verdict is Verdict.MISMATCH]
        return Outcome(
            verdict,
            stage,
            message,
            inputs={name: result.to_json() for name, result in results.items()},
            seconds=seconds,
            notes=tuple(notes),
            **merge(counted),
        )

    def _message(self, results: Mapping[str, SetResult], decides: str) -> str:
        """The step that decides, in full, and in a line what the others came to."""
        by_verdict = {
            verdict: [_number(name) for name, result in results.items() if result.verdict is verdict]
            for verdict in _SAID
        }
        parts = [f"{_SAID[verdict]} {_in_words(found)}" for verdict, found in by_verdict.items() if found]
        first, *more = results[decides].message.splitlines() or [""]
        said = f"{', '.join(parts)[0].upper()}{', '.join(parts)[1:]}."
        # Before what is long, a library's stack say: reports cut messages.
        lines = [said, *more] if len(more) > _SHORT else [*more, said]
        return "\n".join([f"step {_number(decides)} of {len(results)}: {first}", *lines])


# What steps come to, in one line. Those that were not run say nothing.
_SAID = {
    Verdict.PASS: "right in",
    Verdict.IMPRECISE: "inexact in",
    Verdict.MISMATCH: "wrong in",
    Verdict.ERROR: "an error in",
    Verdict.CRASH: "a crash in",
    Verdict.TIMEOUT: "a timeout in",
    Verdict.OUT_OF_MEMORY: "out of memory in",
    Verdict.UNSUPPORTED: "refused in",
}
_SHORT = 3


def _number(name: str) -> int:
    return int(name.rpartition("-")[2])


def _in_words(numbers: Sequence[int]) -> str:
    """Steps in words, neighbours together: "step 2", "steps 2 to 4", "steps 1, 3 to 5"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    said = [f"{run[0]} to {run[-1]}" if len(run) > 1 else str(run[0]) for run in runs]
    return f"step{'s' if len(numbers) > 1 else ''} {', '.join(said)}"
