from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelconform.collect import Declared
from pytest_modelconform.registry import Registry, register_built_in
from pytest_modelconform.session import SessionPlugin
from pytest_modelconform.terms.case import DEFAULTS
from pytest_modelconform.terms.cell import PRECISIONS, Cell


@pytest.fixture
def session() -> Any:
    """What of a session node ids are read with."""
    registry = Registry()
    register_built_in(registry)
    return SimpleNamespace(registry=registry)


def test_every_cell_is_found_by_its_id(session: Any) -> None:
    cells = SessionPlugin.all_cells(session, "cases/a.py", Declared("a", dtypes=tuple(DEFAULTS)))
    assert len({cell.id for cell in cells}) == len(cells)
    assert {(cell.dtype, cell.precision) for cell in cells} == {(d, p) for d in DEFAULTS for p in PRECISIONS}
    for cell in cells:
        assert SessionPlugin.cell_of(session, cell.id) == cell


def test_a_case_without_float32_has_no_plain_cells(session: Any) -> None:
    cells = SessionPlugin.all_cells(session, "a.py", Declared("a", dtypes=("bfloat16",)))
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
def test_other_ids_are_no_cells(session: Any, rest: str) -> None:
    assert SessionPlugin.cell_of(session, f"cases/a.py::a[{rest}]") is None
    assert SessionPlugin.cell_of(session, "tests/test_a.py::test_a") is None
