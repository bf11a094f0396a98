"""What formats and runtimes state that they can't do, and where that gives `unsupported`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelconform.cells import limits
from pytest_modelconform.references.prepared import InputSet
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.limits import check_limits
from tests.support import small_onnx

CELL = Cell("a.py", "a", "onnx", "ort", dtype="bfloat16")


def entry(name: str, **shapes: list[int]) -> InputSet:
    return InputSet(name, Path("none"), [], [], {}, {f"/args/{k}": v for k, v in shapes.items()}, frozenset(), {})


def prepared(*sets: InputSet, dtypes: tuple[str, ...] = ("float32", "int64"), outputs: int = 2) -> Any:
    content = SimpleNamespace(
        input_leaves=[SimpleNamespace(path=f"/args/{i}", dtype=dtype) for i, dtype in enumerate(dtypes)]
    )
    exported = sets[0].shapes if sets else {}
    return SimpleNamespace(content=content, output_paths=[""] * outputs, exported_shapes=exported)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("dtype:bfloat16", "bfloat16: why"),
        ("dtype:float16", None),
        ("input:int64", "input /args/1 is int64: why"),
        ("input:bool", None),
        ("inputs>1", "2 inputs: why"),
        ("inputs>2", None),
        ("outputs>1", "2 outputs: why"),
        ("outputs>2", None),
        ("batch>1", None),
    ],
)
def test_of_cases(kind: str, said: str | None) -> None:
    assert limits.of_case({kind: "why"}, CELL, prepared()) == said


def test_of_quantised_models() -> None:
    registry = small_onnx.registry()
    quantised = replace(CELL, dtype="int8")
    said = "int8: it doesn't hold models that PyTorch has quantised, as export, aoti, onnx, openvino, executorch do"
    assert limits.of_quantised("torchscript-trace", quantised, registry) == said
    assert limits.of_quantised("onnx", quantised, registry) is None
    assert limits.of_quantised("torchscript-trace", CELL, registry) is None
    fast = replace(quantised, precision="fast")
    assert limits.of_quantised("onnx", fast, registry) == "int8: a fast mode is one of float arithmetic"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("batch>1", "input /args/x has a first dimension of 3: why"),
        ("batch>3", None),
        ("rank>1", "input /args/x has 2 dimensions: why"),
        ("rank>2", None),
        ("rank<1", "input /args/y has 0 dimensions: why"),
        ("dynamic-shapes", "input /args/x has another shape than the exported input set's: why"),
        ("dtype:bfloat16", None),
    ],
)
def test_of_sets(kind: str, said: str | None) -> None:
    first, second = entry("first", x=[2, 4], y=[]), entry("second", x=[3, 4], y=[])
    assert limits.of_set({kind: "why"}, prepared(first, second), second) == said


def test_of_the_whole_column() -> None:
    stated = {"transposed-inputs": "why"}
    turned = replace(entry("auto-transposed", x=[2, 4]), generated="transposed tensors")
    assert limits.of_column(stated, turned) == "why"
    assert limits.of_column({"batch>1": "why"}, turned) is None
    # A case's own set of that name is none of ours, and says nothing of other cases.
    assert limits.of_column(stated, replace(turned, generated="")) is None
    assert limits.of_column(stated, replace(turned, name="auto-values")) is None
    assert limits.of_set(stated, prepared(turned), turned) is None
    check_limits(stated, "my.module")


def test_the_exported_set_is_within_its_own_shapes() -> None:
    first = entry("first", x=[2, 4])
    assert limits.of_set({"dynamic-shapes": "why"}, prepared(first), first) is None


@pytest.mark.parametrize(
    ("faulty", "said"),
    [
        ({"dynamic": "why"}, "my.module: LIMITS has 'dynamic', an unknown kind of limit"),
        ({"outputs>": "why"}, "LIMITS has 'outputs>'"),
        ({"batch>1": " "}, r"LIMITS\['batch>1'\] gives no reason"),
    ],
)
def test_nonsense_is_refused(faulty: dict[str, str], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        check_limits(faulty, "my.module")
