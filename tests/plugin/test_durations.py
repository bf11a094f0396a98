"""What is known of earlier runs, and what is guessed of cells that never ran."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_modelconform.plugin import durations
from pytest_modelconform.plugin.durations import Durations


def cell(case: str, format_name: str, runtime: str = "torch") -> str:
    return f"{case}.py::{case}[{format_name}-{runtime}-cpu]"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name in "abcd":
        (tmp_path / f"{name}.py").write_text(name)
    return tmp_path


def estimate(folder: Path, *items: str) -> float:
    from pytest_modelconform.plugin.plan import scope_of

    return Durations(folder, folder).of_unit(scope_of(items[0]), items)


def run(folder: Path, *cells: tuple[str, float, float, bool | None]) -> None:
    known = Durations(folder, folder)
    for node_id, seconds, export, is_cached in cells:
        known.note(node_id, seconds, export, is_cached)
    known.save()


def test_what_was_made_is_expected_to_be_there_until_the_file_changes(files: Path) -> None:
    first, second = cell("a", "aoti"), cell("a", "aoti", "libtorch_cpp")
    run(files, (first, 32.0, 30.0, False), (second, 1.0, 30.0, True))
    assert estimate(files, first, second) == 3.0
    run(files, (first, 1.5, 30.0, True))
    assert estimate(files, first, second) == 2.5
    (files / "a.py").write_text("another model")
    assert estimate(files, first, second) == 33.0


def test_an_artifact_that_was_made_again_counts_as_made(files: Path) -> None:
    first = cell("a", "aoti")
    run(files, (first, 32.0, 30.0, False))
    run(files, (first, 52.0, 45.0, False))
    (files / "a.py").write_text("another model")
    assert estimate(files, first) == 52.0


def test_without_a_record_the_format_decides(files: Path) -> None:
    lengths = [estimate(files, cell("a", name)) for name in ("aoti", "onnx", "export", "torchscript_trace")]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] > 5 * lengths[-1]
    assert estimate(files, cell("a", "of_another_package")) > lengths[-1]
    assert estimate(files, "tests/test_a.py::test_of_another_kind") < lengths[-1]


def test_a_large_case_is_large_in_another_format(files: Path) -> None:
    run(files, (cell("a", "onnx"), 47.0, 40.0, False), (cell("b", "onnx"), 2.0, 1.0, False))
    assert estimate(files, cell("a", "aoti")) > 4 * estimate(files, cell("b", "aoti"))


def test_where_enough_are_recorded_their_median_stands_for_a_format(files: Path) -> None:
    run(files, *((cell(name, "aoti"), seconds, 1.0, False) for name, seconds in (("a", 2.0), ("b", 3.0), ("c", 90.0))))
    assert estimate(files, cell("d", "aoti")) == 3.0


def test_of_very_many_the_last_are_kept(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durations, "_MOST", 2)
    for name in "abc":
        run(files, (cell(name, "onnx"), 1.0, 0.0, True))
    run(files, (cell("b", "onnx"), 1.0, 0.0, True))
    assert list(json.loads((files / "durations.json").read_text())) == [cell("c", "onnx"), cell("b", "onnx")]


def test_of_two_sessions_that_end_at_once_neither_is_lost(files: Path) -> None:
    code = """
import pathlib, sys
from pytest_modelconform.plugin.durations import Durations
folder = pathlib.Path(sys.argv[1])
for number in range(20):
    known = Durations(folder, folder)
    known.note(f"a.py::a[{sys.argv[2]}{number}-torch-cpu]", 1.0)
    known.save()
"""
    started = [subprocess.Popen([sys.executable, "-c", code, str(files), name]) for name in ("one", "two")]
    assert [process.wait(60) for process in started] == [0, 0]
    assert len(json.loads((files / "durations.json").read_text())) == 40


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": "long"}', '{"a": [1]}', '{"a": ["", NaN, 1]}'])
def test_a_file_of_another_kind_counts_as_none(text: str, files: Path) -> None:
    (files / "durations.json").write_text(text)
    run(files, (cell("a", "onnx"), 5.0, 0.0, True))
    assert estimate(files, cell("a", "onnx")) == 5.0


def test_that_of_an_older_version_is_read(files: Path) -> None:
    (files / "durations.json").write_text(json.dumps({cell("a", "onnx"): 7.0}))
    assert estimate(files, cell("a", "onnx")) == 7.0
