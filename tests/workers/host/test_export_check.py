"""Faults of the field `exports` that the case alone tells: each names the key, and what to write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_modelconform import Case, Export
from pytest_modelconform.workers.host.export_check import fault


def _three(model: Any, inputs: Any, folder: Any) -> str:
    return ""


def export(**fields: Any) -> Export:
    """An export of fields that may be anything."""
    return Export(**fields)


@pytest.mark.parametrize(
    ("exports", "why"),
    [
        ({}, ""),
        (
            {
                "onnx@a": export(options={"opset_version": 18}),
                "onnx": export(make=_three),
                "aoti@b": export(file="a"),
                "aoti@c": export(file=Path("a")),
            },
            "",
        ),
        ({"onnx@a": export(options=lambda: {"opset_version": 18})}, ""),
        ({"onnx@a": export(make=_three, inputs={"a": "x"}, outputs={"b": "y"})}, ""),
        ([export()], "give a dict of exports by format or variant"),
        ({1: export()}, "the key 1 is no name of a format"),
        ({"onnx@a-b": export()}, "'onnx@a-b' is no name of an export"),
        ({"onnx@a": {"opset_version": 18}}, "'onnx@a' has a value of type dict: give an Export(…)"),
        ({"onnx@a": export(options={"a": 1}, file="b")}, "'onnx@a': it gives options and file: one of them says how"),
        ({"onnx@a": export(make=_three, file="b")}, "it gives make and file"),
        ({"onnx@a": export(inputs={"a": "x"})}, "inputs= and outputs= are for files of your own: give make= or file="),
        ({"onnx@a": export(options=18)}, "options= is a dict by name"),
        ({"onnx@a": export(options={18: 1})}, "options= is a dict by name"),
        ({"onnx@a": export(make="net.onnx")}, "make= is a function of the model, the inputs and a folder"),
        ({"onnx@a": export(make=lambda model: "")}, "make= is called with three arguments"),
        ({"onnx@a": export(file=3)}, "file= is the path of a file, relative to the case file"),
        ({"onnx@a": export(file="a", inputs=["x"])}, "inputs= is a dict of names by those of the file"),
    ],
)
def test_faults(exports: Any, why: str) -> None:
    found = fault(Case(model=lambda: None, inputs={}, exports=exports))  # type: ignore[arg-type,return-value]
    assert bool(found) == bool(why)
    assert why in found
