"""Patterns for sets of cells: exact, disjoint, and few."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from pytest_modelconform.expected.fold import Ids, fold

RESTS = ("eager", "onnx-ort-cpu", "onnx-ort-cuda", "onnx-ort_cpp-cpu", "onnx-ort-cpu-bfloat16-fast", "export-torch-cpu")
IDS = Ids(f"{file}.py::{case}[{rest}]" for file in ("a", "b/a") for case in ("one", "two") for rest in RESTS)


@pytest.mark.parametrize(
    ("cells", "near", "patterns"),
    [
        ((), (), []),
        (("a.py::one[eager]",), (), ["a.py::one[eager]"]),
        (("a.py::one[onnx-*]",), (), ["a.py::one[onnx-*]"]),
        (("a.py::one[*-cpu]",), (), ["a.py::one[*-cpu]"]),
        (("a.py::*[onnx-*]",), (), ["a.py::*[onnx-*]"]),
        (("a.py::*",), (), ["a.py::*[*]"]),
        (("a.py::one[onnx-ort-cpu*]",), (), ["a.py::one[onnx-ort-cpu]", "a.py::one[onnx-ort-cpu-bfloat16-fast]"]),
        (("*[export-*]",), (), ["a.py::*[export-torch-cpu]", "b/a.py::*[export-torch-cpu]"]),
        (("*[export-*]",), ("*[export-*]",), ["*[export-*]"]),
        (("*[onnx-*-cuda]",), ("*[onnx-*]",), ["*[onnx-ort-cuda]"]),
    ],
)
def test_patterns(cells: Sequence[str], near: Sequence[str], patterns: list[str]) -> None:
    assert fold([cell for pattern in cells for cell in IDS.matching(pattern)], IDS, near) == patterns


@pytest.mark.parametrize("seed", range(20))
def test_each_cell_is_matched_once_and_no_other(seed: int) -> None:
    chance = random.Random(seed)
    cells = chance.sample(list(IDS.order), chance.randrange(1, len(IDS.order)))
    patterns = fold(cells, IDS, ["*[onnx-*]"])
    assert sorted(cell for pattern in patterns for cell in IDS.matching(pattern)) == sorted(cells)
    assert len(patterns) <= len(cells)


def test_names_that_hold_special_characters_stand_for_themselves() -> None:
    ids = Ids(["a*.py::one[eager]", "ab.py::one[eager]", "no case"])
    assert fold(["a*.py::one[eager]"], ids) == ["a*.py::one[eager]"]
    assert fold(["no case"], ids) == ["no case"]
