"""Which red cells are searched in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_modelconform.blame.sought import is_sought, why_not
from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.terms.cell import CaseRef, Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict

CELL = Cell("net.py", "net", "onnx", "ort")
REF = CaseRef(Path("net.py"), "net.py", "net")
WRONG = Outcome(Verdict.MISMATCH, Stage.COMPARE, "wrong")


@pytest.fixture(scope="module")
def registry() -> Registry:
    found = Registry()
    register_built_in(found)
    return found


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"verdict": Verdict.ERROR, "stage": Stage.EXPORT},
        {"verdict": Verdict.ERROR, "stage": Stage.LOAD},
        {"verdict": Verdict.CRASH, "stage": Stage.RUN},
        {"verdict": Verdict.IMPRECISE, "strict": True},
        {"expected": False},
    ],
)
def test_what_fails_unexpectedly_is(registry: Registry, change: dict[str, Any]) -> None:
    assert is_sought(registry, REF, CELL, replace(WRONG, **change))


@pytest.mark.parametrize(
    ("cell", "ref", "outcome", "why"),
    [
        ({}, {}, {"expected": True}, ""),
        ({}, {}, {"verdict": Verdict.PASS, "expected": False}, ""),
        ({}, {}, {"verdict": Verdict.IMPRECISE}, ""),
        ({}, {}, {"verdict": Verdict.UNAVAILABLE, "stage": Stage.ENVIRONMENT}, "fails at stage environment"),
        ({}, {}, {"verdict": Verdict.ERROR, "stage": Stage.REFERENCE}, "fails at stage reference"),
        ({}, {}, {"threads": {"counts": [2]}}, "fails from several"),
        ({"runtime": "eager", "format": "eager"}, {}, {}, "checks the case itself"),
        ({"task": "sequence"}, {}, {}, "outputs of single calls"),
        ({}, {"framework": "keras"}, {}, "a model in keras"),
        ({"format": "state-dict"}, {}, {}, "weights only"),
    ],
)
def test_what_is_not(
    registry: Registry, cell: dict[str, str], ref: dict[str, Any], outcome: dict[str, Any], why: str
) -> None:
    given = registry, replace(REF, **ref), replace(CELL, **cell), replace(WRONG, **outcome)
    assert not is_sought(*given)
    assert why in why_not(*given)
    assert bool(why) == bool(why_not(*given))
