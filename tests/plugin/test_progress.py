"""Lines about what takes long: rarely, short, and of the cells that are under way."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from _pytest._io import TerminalWriter

from pytest_modelconform.plugin import progress
from pytest_modelconform.plugin.progress import UnderWay


def under_way(count: int) -> UnderWay:
    found = UnderWay(0.0)
    for number in range(count):
        found.begin(f"cases/a.py::net{number}[aoti-torch-cpu]", float(number))
    return found


def test_after_a_minute_without_a_result_it_says_what_runs_once_a_minute() -> None:
    found = under_way(2)
    assert found.overdue(59.0) == ""
    assert (
        found.overdue(60.0)
        == "modelconform: still running: net0[aoti-torch-cpu] (60 s), net1[aoti-torch-cpu]\n  (59 s)"
    )
    assert found.overdue(100.0) == ""
    assert found.overdue(121.0)
    found.end("cases/a.py::net0[aoti-torch-cpu]", 130.0)
    assert found.overdue(189.0) == ""
    assert "net0" not in found.overdue(190.0)


def test_nothing_is_said_where_nothing_runs() -> None:
    assert under_way(0).overdue(1000.0) == ""


def test_of_many_it_names_the_longest_in_lines_of_a_terminal() -> None:
    said = under_way(16).overdue(100.0)
    assert [len(line) <= 80 for line in said.splitlines()] == [True, True]
    assert "net0[" in said
    assert "net3[" not in said
    assert said.endswith("and 13 more")


@pytest.mark.parametrize(
    ("wall", "processes", "busy", "share"), [(10.0, 2, 15.0, 0.25), (10.0, 2, 21.0, 0.0), (0.0, 2, 0.0, 0.0)]
)
def test_the_idle_share_of_a_run(wall: float, processes: int, busy: float, share: float) -> None:
    assert progress.Used(wall, processes, busy).idle == share


@pytest.mark.parametrize("begun", [".....", ""])
def test_a_line_does_not_follow_dots(begun: str) -> None:
    file = io.StringIO()
    writer = TerminalWriter(file)
    reporter = SimpleNamespace(_tw=writer, currentfspath=None, write_line=writer.line)
    writer.write(begun)
    progress.write_line(reporter, "building")
    assert file.getvalue() == f"{begun}\nbuilding\n" if begun else "building\n"
