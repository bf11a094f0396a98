"""What a session holds on to: pytest keeps all items and reports to its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_modelconform.plugin.items import CellItem
from tests.support import runs


class Keeper:
    """What is left at the end of a session."""

    def __init__(self) -> None:
        self.items: list[CellItem] = []
        self.reports: list[Any] = []
        self.registered: list[str] = []

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """After all that has a say in reports."""
        self.items = [item for item in terminalreporter._session.items if isinstance(item, CellItem)]
        self.reports = [report for reports in terminalreporter.stats.values() for report in reports]
        self.registered = terminalreporter.config.getini("markers")


def test_what_cells_came_to_is_in_the_log_and_not_kept(
    project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = Keeper()
    run = pytester.runpytest_inprocess

    def with_keeper(*arguments: Any) -> Any:
        return run(*arguments, plugins=[keeper])

    monkeypatch.setattr(pytester, "runpytest_inprocess", with_keeper)
    found = runs.run_here(pytester, project, "plain.py", "second.py")
    assert (found.status, len(keeper.items)) == (0, 4)
    assert all(item.outcome is None for item in keeper.items)
    records = [report.modelconform for report in keeper.reports if hasattr(report, "modelconform")]
    assert records == [{"verdict": "pass", "strict": False}] * 4
    # One object a marker, and one line for --strict-markers.
    marks = [mark for item in keeper.items for mark in item.iter_markers("dtype_float32")]
    assert len(marks) == 4
    assert len({id(mark) for mark in marks}) == 1
    assert len([line for line in keeper.registered if line.startswith("dtype_float32:")]) == 1


def test_a_file_that_cannot_be_read_is_shown_whatever_marks_are_asked_for(
    tmp_path: Path, pytester: pytest.Pytester
) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "broken.py").write_text("from pytest_modelconform import Case\n1 / 0\n")
    for words, names in (
        (("-m", "runtime_torch"), ["broken[collect]"]),
        (("-m", "runtime_torch", "--modelconform-shard", "1/1"), ["broken[collect]"]),
        (("-m", "runtime_torch", "-k", "other"), []),
        (("-m", "runtime_torch", "--deselect", "broken.py"), []),
    ):
        found = runs.run_here(pytester, tmp_path, "broken.py", *words, runtimes="torch")
        assert [*found.cells] == names, words
