"""Why a cell is a mismatch, where the numbers tell.

What is imprecise, and has a cause, becomes a mismatch. No other verdict changes here, and none to a better one.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..terms.accuracy import accuracy
from ..terms.case import Tolerance
from ..terms.cell import FULL, Cell
from ..terms.outcome import Outcome, Verdict
from ..terms.runs import NO_TIME, ZEROS

if TYPE_CHECKING:
    from typing import TypeAlias

    from ..diagnosis.judge import Seen
    from ..diagnosis.nearest import Variant
    from ..references.prepared import InputSet, Prepared
    from ..terms.cell import CaseRef
    from .answers import Run
    from .case_host import Exports
    from .stages import Budget

    # What the case host ran, which of it there was no time or room for, in words, and the seconds that it had.
    Asked: TypeAlias = tuple[Sequence[Variant], str, float]

# Hints that name a precision.
_OF_PRECISION = re.compile(r"\b(b?float(16|8)|int8)")
MOST_SECONDS = 60.0
MOST_SECONDS_CLOSE = 180.0  # for what is close: a variant that there was no time for would make it a mismatch
LEAST_SECONDS = 1.0  # with less left of a cell's time, the case host is not asked
_KEPT = 4  # (case, input set) pairs whose variants are kept: cells of a case follow each other


@dataclass(frozen=True)
class Evidence:
    """What a mismatch leaves behind for its diagnosis.

    tolerance: the cell's. runs: by input set that is a mismatch or imprecise; arrays are memory maps.
    """

    prepared: Prepared
    tolerance: Tolerance
    runs: Mapping[str, Sequence[Run]]
    budget: Budget


@dataclass(frozen=True)
class Found:
    """What a diagnosis came to. problem: what went wrong in it. left_out: which part of it could not be made, or ""."""

    hints: Sequence[str] = ()
    problem: Exception | None = None
    left_out: str = ""


def undiagnosed(outcome: Outcome, why: str) -> Outcome:
    """What is imprecise but for a cause that nobody has looked for: a mismatch, and a note that says so."""
    note = f"close on its own scale, and a mismatch all the same: {why}, so that a cause of it may be unseen"
    return replace(_as_mismatch(outcome), notes=(*outcome.notes, note))


def _as_mismatch(outcome: Outcome) -> Outcome:
    """The outcome with all that is imprecise in it a mismatch."""
    close, wrong = Verdict.IMPRECISE.value, Verdict.MISMATCH.value
    inputs = {
        name: {**entry, "verdict": wrong} if entry["verdict"] == close else entry
        for name, entry in outcome.inputs.items()
    }
    return replace(outcome, verdict=Verdict.MISMATCH, inputs=inputs)


@dataclass
class Diagnosis:
    """Explains mismatches, and keeps what the case host was asked for. folder: for its files."""

    exports: Exports
    folder: Path
    _variants: dict[tuple[str, str], Asked | Exception] = field(default_factory=dict)

    def explained(self, ref: CaseRef, cell: Cell, outcome: Outcome, evidence: Evidence | None) -> Outcome:
        """The outcome with its likely causes in `hints` and at the end of the message.

        What is imprecise is a mismatch if it has a cause, or if not all of them could be looked for.
        """
        is_close = outcome.verdict is Verdict.IMPRECISE
        if evidence is None or not evidence.runs:
            return undiagnosed(outcome, "nothing is left to be looked at") if is_close else outcome
        try:
            found = self._hints(ref, cell, outcome, evidence, MOST_SECONDS_CLOSE if is_close else MOST_SECONDS)
        except Exception as error:
            found = Found(problem=error)
        if found.problem is not None:
            what = f"{type(found.problem).__name__}: {str(found.problem).partition(chr(10))[0]}"
            outcome = replace(outcome, notes=(*outcome.notes, f"no diagnosis: {what}"))
        if accuracy(cell.format) is not None:
            # That its numbers are few is what such a format is for.
            found = replace(found, hints=[hint for hint in found.hints if not _OF_PRECISION.search(hint)])
        if found.hints:
            outcome = replace(outcome, hints=tuple(found.hints))
            outcome = replace(outcome, message="\n".join([outcome.message, *outcome.hint_lines]))
            return _as_mismatch(outcome) if is_close else outcome
        if is_close and (found.problem is not None or found.left_out):
            return undiagnosed(outcome, found.left_out or "the diagnosis failed")
        return outcome

    def _hints(self, ref: CaseRef, cell: Cell, outcome: Outcome, evidence: Evidence, most: float) -> Found:
        # Here, since it imports numpy.
        import numpy as np

        with np.errstate(all="ignore"):
            return self._found(ref, cell, outcome, evidence, most)

    def _found(self, ref: CaseRef, cell: Cell, outcome: Outcome, evidence: Evidence, most: float) -> Found:
        from ..diagnosis import nearest, patterns

        prepared = evidence.prepared
        exporter = prepared.content.exporter_set
        end = time.monotonic() + min(evidence.budget.left, most)
        runtime = self.exports.registry.runtime(cell.runtime)
        seen = _seen(outcome, evidence, runtime.NARROWS)
        found, complete = patterns.hints(seen, exporter, late=lambda: time.monotonic() > end)
        sentence = patterns.only_exported_size(seen, exporter) or patterns.only_exported(seen, exporter)
        if sentence and "baked in" not in " ".join(found):
            found, complete = [sentence, *found][: patterns.MOST], True
        # Where a set is an error, that is what to look at first: no minutes for variants of the others.
        if complete or outcome.verdict not in (Verdict.MISMATCH, Verdict.IMPRECISE):
            return Found(found)
        one = next((one for one in seen if one.outputs and one.wrong), None)
        left = end - time.monotonic()
        if one is None:
            return Found(found, left_out="its outputs are too large, or constant, to look for causes in")
        if left < LEAST_SECONDS:
            return Found(found, left_out="no time was left to look for causes")
        # No variant of the model has outputs of another shape, so that none explains what has.
        if any(other.misshapen for other in seen):
            return Found(found)
        asked = self._asked(ref, prepared, one.name, left)
        if isinstance(asked, Exception):
            return Found(found, problem=asked)
        variants, left_out, _ = asked
        if sentence := nearest.explanation(one, variants, runtime.PRECISION_NOTE, _may_reduce(runtime, cell)):
            found.insert(0, sentence)
        return Found(found[: patterns.MOST], left_out=left_out)

    def _asked(self, ref: CaseRef, prepared: Prepared, name: str, seconds: float) -> Asked | Exception:
        """The case host's variants of an input set, or what went wrong: neither is asked for twice.

        But for variants that there was no time for, where there is twice as much.
        """
        key = (prepared.key, name)
        known = self._variants.get(key)
        if known is not None and not isinstance(known, Exception) and known[1] and seconds > 2 * known[2]:
            del self._variants[key]
        if key not in self._variants:
            while len(self._variants) >= _KEPT:
                self._variants.pop(next(iter(self._variants)))
            try:
                self._variants[key] = self._ask(ref, prepared, name, seconds)
            except Exception as error:
                self._variants[key] = error
        return self._variants[key]

    def _ask(self, ref: CaseRef, prepared: Prepared, name: str, seconds: float) -> Asked:
        from ..diagnosis.nearest import Variant
        from ..workers import arrays

        # Files may go as soon as they are mapped into memory.
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            answer = self.exports.variants(ref, prepared, name, Path(folder), seconds)
            found = [(entry, arrays.read(Path(folder) / entry.file)) for entry in answer.variants]
        keys = _keys(prepared.sets[name].outputs)
        draws: dict[str, Variant] = {}
        for entry, read in found:
            if not keys.keys() <= read.keys():
                continue
            outputs = {keys[key]: array for key, array in read.items() if key in keys}
            label = entry.name
            if entry.kind == "random" and label in draws:
                draws[label] = replace(draws[label], again=outputs)
                continue
            draws[label] = Variant(label, entry.kind, entry.sentence, outputs)
        not_run = [label for label, why in answer.skipped.items() if why == NO_TIME]
        left_out = f"{NO_TIME} for the variants {', '.join(not_run)}" if not_run else ""
        return list(draws.values()), left_out, seconds


def _may_reduce(runtime: Any, cell: Cell) -> bool:
    """Whether a cell's runtime is known to compute in less than the case's dtype: by itself, on a GPU, or fast."""
    return bool(runtime.PRECISION_NOTE) or cell.device != "cpu" or cell.precision != FULL


def _keys(tree: Mapping[str, Any]) -> dict[str, str]:
    """Paths of outputs as messages write them, by the host's keys."""
    from ..compare import flatten

    return {key: path for path, key in flatten(tree)[1].items()}


def _seen(outcome: Outcome, evidence: Evidence, narrows: Mapping[str, str]) -> list[Seen]:
    from ..compare import flatten
    from ..diagnosis.judge import Seen
    from ..references.prepared import sizes
    from ..workers.arrays import numpy_dtype

    def outputs(run: Run, entry: InputSet) -> dict[str, Any]:
        tree, found = run
        arrays = {path: found[key] for path, key in flatten(tree)[1].items()}
        for path in arrays.keys() & entry.references.keys():
            dtype = entry.references[path].dtype
            if narrows.get(dtype) == arrays[path].dtype.name:
                arrays[path] = arrays[path].astype(numpy_dtype(dtype))
        return arrays

    result = []
    ran = {verdict.value for verdict in (Verdict.PASS, Verdict.IMPRECISE, Verdict.MISMATCH)}
    said = sizes(evidence.prepared.sets)
    for name, entry in evidence.prepared.sets.items():
        verdict = outcome.inputs.get(name, {}).get("verdict", Verdict.PASS.value)
        if name == ZEROS and verdict == Verdict.PASS.value:
            continue  # no number of it was compared
        runs = [outputs(run, entry) for run in evidence.runs.get(name, ())]
        nothing: dict[str, Any] = {}
        first, again, *_ = [*runs, nothing, nothing]
        one = Seen(
            name,
            entry.references,
            first,
            again,
            evidence.tolerance,
            ran=verdict in ran,
            shapes=entry.shapes,
            sizes=said[name],
        )
        if len(runs) > 1 and not one.wrong and one.outputs.keys() == one.references.keys():
            one = replace(one, outputs=again, again=first)  # it is a later run that is wrong
        result.append(one)
    return result
