"""Who is asked about an artifact, and what is not installed for it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelconform.cells.case_files import Declared
from pytest_modelconform.cells.machinery import Machinery
from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.repro.concern import About
from pytest_modelconform.repro.opinions import Asker
from pytest_modelconform.terms.cell import CaseRef, Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict

WRONG = Outcome(Verdict.MISMATCH, Stage.COMPARE, inputs={"a": {"verdict": "mismatch"}})
RIGHT = Outcome(Verdict.PASS, inputs={"a": {"verdict": "pass"}})


class Ran:
    """A pipeline that notes what it is asked to run. right: by runtime, those that pass; the others are wrong."""

    def __init__(self, right: tuple[str, ...]) -> None:
        self.right = right
        self.asked: list[tuple[str, str]] = []

    def unavailable(self, cell: Cell, framework: str, own: Collection[str] = ()) -> None:
        return None

    def run(self, ref: CaseRef, cell: Cell, expects: Any = None) -> Outcome:
        self.asked.append((cell.format, cell.runtime))
        return RIGHT if cell.runtime in self.right else WRONG


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    register_built_in(registry)
    return registry


def asker(registry: Registry, cache: Path, format_name: str, runtime: str, right: tuple[str, ...] = ()) -> Any:
    case = Declared("a")
    pipeline = Ran(right)
    settings = SimpleNamespace(cache=cache, exports={})
    machinery: Any = SimpleNamespace(registry=registry, pipeline=pipeline, witnesses=None, settings=settings)
    machinery.all_cells = lambda file, declared: Machinery.all_cells(machinery, file, declared)
    cell = Cell("a.py", "a", format_name, runtime)
    return Asker(machinery, case, CaseRef(Path("a.py"), "a.py", "a"), cell, lambda line: None), pipeline


def test_runtimes_with_other_kernels_are_asked_until_one_is_right(registry: Registry, tmp_path: Path) -> None:
    one, ran = asker(registry, tmp_path, "onnx", "ort", ("openvino",))
    opinions = one.opinions(WRONG)
    assert ran.asked == [("onnx", "openvino")]
    assert [(opinion.about, opinion.outcome) for opinion in opinions] == [(About.SAME, RIGHT)]


def test_no_family_is_asked_twice_and_none_that_installs_or_builds(registry: Registry, tmp_path: Path) -> None:
    one, ran = asker(registry, tmp_path, "onnx", "ort-cpp")
    one.opinions(WRONG)
    same = [runtime for format_name, runtime in ran.asked if format_name == "onnx"]
    assert same == ["openvino", "onnx-reference", "tract"]
    # What torch.export captured for another format tells whether that is at fault.
    assert ran.asked[3] == ("export", "torch")


def test_what_it_was_converted_from_is_asked(registry: Registry, tmp_path: Path) -> None:
    one, ran = asker(registry, tmp_path, "mnn", "mnn", ("ort",))
    assert [opinion.about for opinion in one.opinions(WRONG)] == [About.SOURCE]
    assert ran.asked == [("onnx", "ort")]


def test_of_what_is_small_the_evaluator_is_asked_first_and_no_longer_than_there_is_time(
    registry: Registry, tmp_path: Path
) -> None:
    one, ran = asker(registry, tmp_path, "onnx", "ort", ("openvino",))
    left = [1.0, 1.0, 0.0, 0.0, 0.0]
    one = replace(one, evaluators_first=True, left=lambda: left.pop(0))
    one.opinions(WRONG)
    assert ran.asked == [("onnx", "onnx-reference"), ("onnx", "openvino")]
    left[:] = [0.0] * 5
    assert one.opinions(WRONG) == []


def test_what_passes_needs_no_opinion(registry: Registry, tmp_path: Path) -> None:
    one, ran = asker(registry, tmp_path, "onnx", "ort")
    assert one.opinions(RIGHT) == []
    assert one.opinions(Outcome(Verdict.ERROR, Stage.ENVIRONMENT)) == []
    assert ran.asked == []


def test_nothing_is_installed_to_run_a_cell(registry: Registry, tmp_path: Path) -> None:
    one, ran = asker(registry, tmp_path, "onnx", "ort-web")
    assert one.own() is None
    assert ran.asked == []
    one, ran = asker(registry, tmp_path, "onnx", "ort", ("ort",))
    assert one.own() == RIGHT
