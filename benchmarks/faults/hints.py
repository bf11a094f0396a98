"""What the diagnosis says of a fault whose cause is known: right, wrong, or nothing."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pytest_modelconform.cells.answers import Run, SetResult, compare_runs, summarise
from pytest_modelconform.cells.diagnosing import Diagnosis, Evidence
from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.references.content import Variants
from pytest_modelconform.references.prepared import Prepared
from pytest_modelconform.terms.cell import CaseRef, Cell
from pytest_modelconform.terms.outcome import Verdict
from pytest_modelconform.workers.host.build import Built
from pytest_modelconform.workers.host.variants import table

from .mutants import Faulty
from .subject import Subject

RIGHT, WRONG, MISSING, OPEN = "right", "wrong", "missing", "no cause in the table"
SECONDS = 20.0  # for the variants of a mutant

# Kind of a mutant -> words of which a right hint has one. For a kind that is not here the plugin knows no sentence, so
# that whatever cause it names is a wrong one. Ten bits of a number are kept by float16 and TF32 alike.
_HALF = ("float16", "TF32")
_SOME = ("is wrong only in",)
# Two rows that are moved by one are reversed.
_MOVED = ("rolled by", "moved by", "in another order", "reversed")
ACCEPTED: Mapping[str, Sequence[str]] = {
    # Of outputs.
    "output rounded to float16": _HALF,
    "output rounded to bfloat16": ("bfloat16",),
    "output wrapped at 32 bits": ("modulo 2^32",),
    "output in 255 steps": ("int8",),
    "last row repeated": (*_SOME, "again"),
    "one row zero": (*_SOME, "which is 0"),
    "rows moved by one": _MOVED,
    "last axis moved by one": _MOVED,
    "NaN as 0": ("NaN",),
    "infinity as the largest number": ("infinit", "inf"),
    "one element NaN": ("NaN", *_SOME),
    "one element off*": _SOME,
    "one integer + 1": ("one more", "one less", *_SOME),
    "output × 1.001": ("times 1.001",),
    "output negated": ("with the other sign",),
    "output in another layout": ("memory order", "axes permuted"),
    "complex output conjugated": ("complex conjugates",),
    "last elements zero": _SOME,
    "stale second run": ("is what the model gives for input set", "is the same for input sets"),
    "first set's result for all": ("is what the model gives for input set", "is the same for input sets", "baked in"),
    # Of inputs.
    "input ignored (zeros)": ("is ignored", "is the same for input sets"),
    "input's strides ignored": ("as if it were row-major", "axes permuted", "memory order"),
    "input's rows reversed": ("reversed", "in another order"),
    "input baked in": ("baked in",),
    "input in float16": _HALF,
    "input in bfloat16": ("bfloat16",),
    # Of weights.
    "weight in float16": _HALF,
    "weight in bfloat16": ("bfloat16",),
    "weight in int8": ("int8",),
    "all weights in float16": _HALF,
    "all weights in bfloat16": ("bfloat16",),
    "weight × 1.01": ("times 1.01", "off by a factor"),
    "weight zero": ("everywhere",),
    "weight rows*": (*_MOVED, *_SOME),
    "*element*": _SOME,
    "bias dropped": ("a bias that is missing",),
    # Of operators.
    "*GELU by the other formula": ("GELU by tanh", "GELU by erf"),
    "align_corners turned": ("align_corners",),
    "padding counted or not": ("count_include_pad",),
    "*epsilon* × 0.1": ("epsilons of norms are a tenth", "epsilons of norms are 1e-6"),
    "*epsilon* × 10": ("epsilons of norms are ten times",),
    "*epsilon 1e-3": ("epsilons of norms are 1e-3", "epsilons of norms are ten times"),
    "* in float16": _HALF,
    "TF32 arithmetic": _HALF,
    "float16 arithmetic": _HALF,
    "bfloat16 arithmetic": ("bfloat16",),
    "mask inverted": ("is inverted",),
    "attention mask dropped": ("is ignored",),
}
# Kinds whose message says what is wrong by itself: a hint that says more is right, none is missing.
SAID: Mapping[str, Sequence[str]] = {
    "output as *": ("instead of",),
    "last output missing": ("lacks the last", "is the model's output"),
    "output renamed": ("is the model's output",),
    "outputs wrapped in a list": ("wrapped in something", "is the model's output"),
    "output of another rank": ("in shape",),
}
# Of hints that describe what the numbers are, and name no cause: where they are not what is looked for, they are not
# wrong, either.
DESCRIPTIVE = ("is wrong only in", "is NaN everywhere", "everywhere, the model's values vary")


class _Host:
    """The case host's part of a diagnosis, in this process."""

    def __init__(self, built: Built) -> None:
        self.built = built
        self.registry = Registry()
        register_built_in(self.registry)

    def variants(self, ref: CaseRef, prepared: Prepared, name: str, folder: Path, seconds: float) -> Variants:
        return msgspec.convert(table.make(self.built, name, str(folder), min(seconds, SECONDS)), Variants)


class _Time:
    """A budget that is never spent."""

    left = SECONDS


def of_mutant(case: Subject, faulty: Faulty, runtime: str, folder: Path) -> list[str]:
    """The hints that the plugin would give, by its own functions. folder: for what the case host writes."""
    built, prepared, tolerance = case.built, case.prepared, case.tolerance
    folder.mkdir(parents=True, exist_ok=True)
    results: dict[str, SetResult] = {}
    wrong: dict[str, Sequence[Run]] = {}
    for name, entry in prepared.sets.items():
        runs = faulty.runs(entry)
        results[name] = compare_runs(runs, entry, tolerance, {})
        if results[name].verdict is Verdict.MISMATCH:
            wrong[name] = runs
    host: Any = _Host(built)
    budget: Any = _Time()
    cell = Cell(f"{built.name}.py", built.name, "", runtime)
    ref = CaseRef(folder, "", built.name)
    evidence = Evidence(prepared, tolerance, wrong, budget)
    return list(Diagnosis(host, folder).explained(ref, cell, summarise(results), evidence).hints)


def judged(kind: str, hints: Sequence[str]) -> list[str]:
    """What each hint of a fault is worth; where none says anything, one word for that."""
    said, accepted = _words(SAID, kind), _words(ACCEPTED, kind)
    return worth(hints, said + accepted) if hints else [MISSING if accepted else OPEN]


def _words(table: Mapping[str, Sequence[str]], kind: str) -> list[str]:
    return [word for pattern, words in table.items() if fnmatch.fnmatch(kind, pattern) for word in words]


def worth(hints: Sequence[str], accepted: Sequence[str]) -> list[str]:
    """What each hint is worth, by words of which a right one has one."""
    found = []
    for hint in hints:
        if any(word in hint for word in accepted):
            found.append(RIGHT)
        elif not any(word in hint for word in DESCRIPTIVE):
            found.append(WRONG)
    return found or [MISSING if accepted else OPEN]
