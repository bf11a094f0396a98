"""What is known of earlier runs, and what is guessed of cells that never ran."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_modelconform.plugin import durations
from pytest_modelconform.plugin.durations import Durations
from pytest_modelconform.plugin.plan import scope_of
from pytest_modelconform.report.recordings import Known


def cell(case: str, format_name: str, runtime: str = "torch") -> str:
    return f"{case}.py::{case}[{format_name}-{runtime}-cpu]"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name in "abcd":
        (tmp_path / f"{name}.py").write_text(name)
    return tmp_path


def estimate(folder: Path, *items: str) -> float:
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


def test_memory_is_what_was_recorded_for_what_has_to_be_made(files: Path) -> None:
    first, second = cell("a", "aoti"), cell("a", "aoti", "libtorch_cpp")
    known = Durations(files, files)
    known.note(first, 32.0, 30.0, is_cached=False, memory=4000)
    known.note(second, 1.0, 30.0, is_cached=True, memory=900)
    known.save()
    known = Durations(files, files)
    known.note(first, 1.5, 30.0, is_cached=True, memory=700)
    known.save()

    def estimated(*items: str) -> int:
        return Durations(files, files).memory_of_unit("a.py::a[aoti", items)

    assert (estimated(first), estimated(second), estimated(first, second)) == (700, 900, 900)
    assert Durations(files, files).surely_takes(first) == 700
    (files / "a.py").write_text("another model")
    assert (estimated(first), estimated(first, second)) == (4000, 4000)
    # What the one before took is no reason to refuse it.
    assert Durations(files, files).surely_takes(first) == 0
    # Nobody could look: what was known stays.
    (files / "a.py").write_text("a")
    known = Durations(files, files)
    known.note(first, 1.5, 30.0, is_cached=True)
    known.save()
    assert estimated(first) == 700


def test_of_a_case_outside_of_the_root_nothing_is_sure(files: Path) -> None:
    elsewhere = cell("elsewhere", "onnx")
    known = Durations(files, files)
    known.note(elsewhere, 2.0, memory=700)
    known.save()
    known = Durations(files, files)
    assert known.memory_of_unit(scope_of(elsewhere), [elsewhere]) == 700
    assert known.surely_takes(elsewhere) == 0


def test_without_a_record_of_its_memory_a_cell_takes_what_its_case_does_or_its_format(files: Path) -> None:
    def took(case: str, format_name: str, memory: int) -> None:
        known = Durations(files, files)
        known.note(cell(case, format_name), 1.0, memory=memory)
        known.save()

    def estimated(case: str, format_name: str, *others: str) -> int:
        items = [cell(case, format_name), *others]
        return Durations(files, files).memory_of_unit(f"{case}.py::{case}[{format_name}", items)

    before = estimated("a", "onnx")
    assert 2 * 10**8 < before < estimated("a", "aoti") < 3 * 10**9
    took("a", "onnx", 9 * 10**9)
    assert estimated("a", "aoti") == 9 * 10**9
    assert estimated("b", "onnx") == before
    for case in "bc":
        took(case, "onnx", 10**9)
    assert estimated("d", "onnx") == 10**9
    # Of the session: cells of a case that ran just now.
    known = Durations(files, files)
    known.saw(cell("d", "onnx"), 5 * 10**9)
    assert known.memory_of_unit("d.py::d[aoti", [cell("d", "aoti")]) == 5 * 10**9
    # Tests beside the cells start no workers of ours.
    assert known.memory_of_unit("test_a.py::test_a", ["test_a.py::test_a"]) == 0


def test_recordings_of_other_machines_are_for_what_never_ran_here(files: Path) -> None:
    first, second = cell("a", "onnx"), cell("b", "onnx")
    run(files, (first, 5.0, 0.0, True))
    recorded = {first: Known("", 70.0, 1.0, 7, 7), second: Known("", 80.0, 2.0, 8, 6)}
    known = Durations(files, files, recorded)
    assert known.of_unit(scope_of(first), [first]) == 5.0
    assert known.of_unit(scope_of(second), [second]) == 80.0
    assert known.memory_of_unit(scope_of(second), [second]) == 8
    # They may be of another state of the case.
    assert known.surely_takes(second) == 0
    known.note(second, 3.0)
    known.save()
    assert set(json.loads((files / "durations.json").read_text())) == {first, second}
    assert json.loads((files / "durations.json").read_text())[second][1:] == [3.0, 3.0, 0, 0]


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
