"""Which input sets a converter that quantises is given, and under which names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pytest_modelconform.cells.calibration import calibration
from pytest_modelconform.references.prepared import InputSet
from pytest_modelconform.terms.signature import Signature


def entry(name: str, **shapes: list[int]) -> InputSet:
    paths = {f"/args/{key}": shape for key, shape in shapes.items()}
    return InputSet(name, Path(f"inputs-{name}"), [], [], {}, paths, frozenset(), {})


def given(length: int | str, *sets: InputSet) -> list[dict[str, Any]]:
    stored = {
        "file": "model.onnx",
        "format": "onnx",
        "layout": "flat",
        "inputs": [{"name": "x", "path": "/args/x", "dtype": "float32", "shape": [2, length]}],
        "outputs": [{"name": "y", "path": ""}],
        "dropped": ["/args/unused"],
        "operators": [],
    }
    prepared: Any = SimpleNamespace(sets={one.name: one for one in sets})
    return calibration(Signature.read(stored), prepared, Path("nowhere"))


def test_the_sets_of_the_case_that_the_artifact_takes() -> None:
    first, second = entry("first", x=[2, 4], unused=[1]), entry("second", x=[2, 7], unused=[1])
    drawn = replace(first, name="auto-values", generated="other values")
    other = entry("other", x=[2, 4], unused=[1], more=[3])
    as_said = [{"inputs": f"inputs-{name}", "feeds": [["x", "/args/x"]]} for name in ("first", "second")]
    assert given("length", first, second, drawn, other) == as_said
    assert given(4, first, second, drawn) == as_said[:1]
