"""Faults of the field `exports` that the case alone tells: each names the key, and what to write."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_modelconform import Case, Export
from pytest_modelconform.workers.host.export_check import fault


def _three(model: Any, inputs: Any, folder: Any) -> str:
    return ""


@pytest.mark.parametrize(
    ("exports", "why"),
    [
        ({}, ""),
        (
            {"onnx@a": Export(options={"opset_version": 18}), "onnx": Export(make=_three), "aoti@b": Export(file="a")},
            "",
        ),
        ({"onnx@a": Export(options=lambda: {"opset_version": 18})}, ""),
        ({"onnx@a": Export(make=_three, inputs={"a": "x"}, outputs={"b": "y"})}, ""),
        ([Export()], "give a dict of exports by format or variant"),
        ({1: Export()}, "the key 1 is no name of a format"),
        ({"onnx@a-b": Export()}, "'onnx@a-b' is no name of an export"),
        ({"onnx@a": {"opset_version": 18}}, "'onnx@a' has a value of type dict: give an Export(…)"),
        ({"onnx@a": Export(options={"a": 1}, file="b")}, "'onnx@a': it gives options and file: one of them says how"),
        ({"onnx@a": Export(make=_three, file="b")}, "it gives make and file"),
        ({"onnx@a": Export(inputs={"a": "x"})}, "inputs= and outputs= are for files of your own: give make= or file="),
        ({"onnx@a": Export(options=18)}, "options= is a dict by name"),
        ({"onnx@a": Export(options={18: 1})}, "options= is a dict by name"),
        ({"onnx@a": Export(make="net.onnx")}, "make= is a function of the model, the inputs and a folder"),
        ({"onnx@a": Export(make=lambda model: "")}, "make= is called with three arguments"),
        ({"onnx@a": Export(file=3)}, "file= is the path of a file, relative to the case file"),
        ({"onnx@a": Export(file="a", inputs=["x"])}, "inputs= is a dict of names by those of the file"),
    ],
)
def test_faults(exports: Any, why: str) -> None:
    found = fault(Case(model=lambda: None, inputs={}, exports=exports))  # type: ignore[arg-type,return-value]
    assert bool(found) == bool(why)
    assert why in found
