"""What a mutant or a clean rerun comes to, by the functions that decide in production."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pytest_modelconform.cells.answers import Run, SetResult, compare_runs, merge, summarise
from pytest_modelconform.compare import compare_structure, flatten
from pytest_modelconform.compare.difference import FEW_ELEMENTS
from pytest_modelconform.compare.measure import NotFiniteError, measure
from pytest_modelconform.compare.numbers import UNSTABLE, flat
from pytest_modelconform.references.prepared import InputSet
from pytest_modelconform.terms.case import Tolerance
from pytest_modelconform.terms.outcome import Stage, Verdict

from .artifact import NoFloat64
from .mutants import Faulty, NotApplicable

ANYTHING = Tolerance(bits_lost=math.inf, worst=math.inf)
# log2 of a fault's own effect, in units of the noise: up to there, faithful runtimes are as far off, and nothing
# can tell them apart. Not bits_lost + 1: whatever passes is within that, so that nothing would ever survive.
EQUIVALENT = 1.0
SHOWN = 300  # characters of a message


@dataclass(frozen=True)
class Record:
    """A mutant or a clean rerun, and its verdict.

    hard: it would fail whatever bits_lost and worst are (structure, dtype, integers, NaN, an exception).
    loss, worst: the greatest over outputs and input sets; judged: the same loss, less what small tensors are allowed.
    exact_loss, exact_worst, exact_judged: of a survivor, without any rounding; None where that can't be computed.
    equivalent: a survivor whose exact_judged is at most EQUIVALENT. bits: the least over outputs and input sets.
    stage: where it failed, of a cell of the plugin. hints: what the diagnosis says, None where it wasn't asked.
    """

    case: str
    kind: str
    where: str
    format: str
    runtime: str
    verdict: str
    hard: bool = False
    loss: float | None = None
    judged: float | None = None
    worst: float | None = None
    exact_loss: float | None = None
    exact_judged: float | None = None
    exact_worst: float | None = None
    equivalent: bool = False
    message: str = ""
    bits: float | None = None
    stage: str | None = None
    hints: Sequence[str] | None = None

    @property
    def passed(self) -> bool:
        """Whether the verdict is pass."""
        return self.verdict == Verdict.PASS.value


@dataclass(frozen=True)
class Judgement:
    """The verdict over all input sets."""

    verdict: str
    hard: bool
    loss: float | None
    judged: float | None
    worst: float | None
    message: str
    bits: float | None


def judge(faulty: Faulty, sets: Mapping[str, InputSet], tolerance: Tolerance) -> Judgement:
    """Run all input sets and compare, as the plugin does. What an artifact or a runtime raises is its verdict."""
    results: dict[str, SetResult] = {}
    judged: list[float] = []
    hard = False
    for name, entry in sets.items():
        try:
            runs = faulty.runs(entry)
        except NotApplicable:
            raise
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
            if entry.may_refuse:
                results[name] = SetResult(Verdict.UNSUPPORTED, Stage.RUN, message)
                continue
            results[name] = SetResult(Verdict.ERROR, Stage.RUN, message)
            hard = True
            continue
        results[name] = compare_runs(runs, entry, tolerance, {})
        for run in runs:
            loose = compare_runs([run], entry, ANYTHING, {})
            hard |= loose.verdict is not Verdict.PASS
            judged += [
                output["loss"] - _grace(output["shape"])
                for output in (loose.outputs or {}).values()
                if output["loss"] is not None
            ]
    outcome = summarise(results)
    numbers = merge([result.numbers for result in results.values()])
    return Judgement(
        outcome.verdict.value,
        hard,
        numbers["loss"],
        max(judged, default=None),
        numbers["worst"],
        outcome.message[:SHOWN],
        numbers["bits"],
    )


def exact_numbers(faulty: Faulty, sets: Mapping[str, InputSet]) -> dict[str, Any]:
    """What a fault does without rounding: greatest loss, judged loss and worst; all None where that isn't known.

    A difference that has no number (structure, integers, NaN) is an infinite one.
    """
    found: list[tuple[float, float, float]] = []
    try:
        for entry in sets.values():
            for tree, outputs in faulty.exact(entry):
                if compare_structure(entry.outputs, tree):
                    found.append((math.inf, math.inf, math.inf))
                    continue
                found += _of_run((tree, outputs), entry)
    except NoFloat64:
        found = []
    except Exception:
        found = []
    if not found:
        return {"exact_loss": None, "exact_judged": None, "exact_worst": None}
    loss, judged, worst = (max(values) for values in zip(*found, strict=True))
    return {"exact_loss": loss, "exact_judged": judged, "exact_worst": worst}


def _of_run(run: Run, entry: InputSet) -> Sequence[tuple[float, float, float]]:
    """(loss, judged loss, worst) of each output. Raises NoFloat64 for one that has no float64 reference."""
    found = []
    for path, key in flatten(run[0])[1].items():
        reference, values = entry.references[path], run[1][key]
        if reference.kind == "tolerance":
            raise NoFloat64("no pure float64 run")
        if tuple(values.shape) != reference.shape:
            found.append((math.inf, math.inf, math.inf))
        elif reference.kind == "exact":
            stable = np.ones(reference.eager.size, bool) if reference.codes is None else reference.codes != UNSTABLE
            differs = bool((flat(values)[stable] != reference.eager[stable]).any())
            found.append((math.inf,) * 3 if differs else (-math.inf,) * 3)
        elif reference.kind == "float":
            try:
                numbers = measure(flat(values), reference)
            except NotFiniteError:
                found.append((math.inf, math.inf, math.inf))
                continue
            loss, worst = numbers.loss or 0.0, numbers.worst or 0.0
            found.append((loss, loss - _grace(reference.shape), worst))
    return found


def _grace(shape: Sequence[int]) -> float:
    return 1.0 if math.prod(shape) < FEW_ELEMENTS else 0.0


def mutant_record(base: Record, faulty: Faulty, sets: Mapping[str, InputSet], tolerance: Tolerance) -> Record:
    """The record of a mutant: where it survives, with what the fault does without rounding."""
    record = clean_record(base, faulty, sets, tolerance)
    if not record.passed:
        return record
    exact = exact_numbers(faulty, sets)
    return replace(record, **exact, equivalent=is_equivalent(exact["exact_judged"]))


def is_equivalent(exact_judged: float | None) -> bool:
    """Whether a fault's own effect is too small to be told from rounding; not known is no."""
    return exact_judged is not None and exact_judged <= EQUIVALENT


def clean_record(base: Record, faulty: Faulty, sets: Mapping[str, InputSet], tolerance: Tolerance) -> Record:
    """The record of a rerun."""
    found = judge(faulty, sets, tolerance)
    message = "" if found.verdict == Verdict.PASS.value else found.message
    return replace(
        base,
        verdict=found.verdict,
        hard=found.hard,
        loss=found.loss,
        judged=found.judged,
        worst=found.worst,
        message=message,
        bits=found.bits,
    )
