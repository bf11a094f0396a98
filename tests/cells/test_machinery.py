from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from pytest_modelconform.cells.case_files import Declared
from pytest_modelconform.cells.machinery import Machinery, Place
from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.cells.settings import Settings
from pytest_modelconform.terms.case import DEFAULTS
from pytest_modelconform.terms.cell import PRECISIONS, Cell


@pytest.fixture
def machinery(tmp_path: Path) -> Machinery:
    registry = Registry()
    register_built_in(registry)
    nothing: dict[str, Any] = dict.fromkeys((field.name for field in fields(Settings)), ())
    return Machinery(registry, Settings(**{**nothing, "cache": tmp_path}), Place(tmp_path, [], print))


def test_every_cell_is_found_by_its_id(machinery: Machinery) -> None:
    cells = machinery.all_cells("cases/a.py", Declared("a", dtypes=tuple(DEFAULTS)))
    assert len({cell.id for cell in cells}) == len(cells)
    assert {(cell.dtype, cell.precision) for cell in cells} == {(d, p) for d in DEFAULTS for p in PRECISIONS}
    for cell in cells:
        assert machinery.cell_of(cell.id) == cell


def test_cells_of_steps_come_with_their_check(machinery: Machinery) -> None:
    cells = machinery.all_cells("a.py", Declared("a", has=["sequence"]))
    assert [cell.name for cell in cells if cell.is_check] == ["a[collect]", "a[eager]", "a[eager-sequence]"]
    for cell in cells:
        assert machinery.cell_of(cell.id) == cell


def test_a_case_without_float32_has_no_plain_cells(machinery: Machinery) -> None:
    cells = machinery.all_cells("a.py", Declared("a", dtypes=("bfloat16",)))
    assert Cell("a.py", "a", "eager", "eager", dtype="bfloat16") in cells
    # A fault of the file is none of a dtype.
    assert [cell.name for cell in cells if cell.dtype == "float32"] == ["a[collect]"]


@pytest.mark.parametrize(
    "rest",
    [
        "onx-ort-cpu",
        "onnx-ort",
        "onnx-nothing-cpu",
        "onnx-ort-cpu-float32",
        "onnx-ort-cpu-fast-bfloat16",
        "onnx-ort-cpu-bfloat16-slow",
        "onnx-ort-cpu-bfloat16-float16",
        "eager-half",
        "",
    ],
)
def test_other_ids_are_no_cells(machinery: Machinery, rest: str) -> None:
    assert machinery.cell_of(f"cases/a.py::a[{rest}]") is None
    assert machinery.cell_of("tests/test_a.py::test_a") is None
