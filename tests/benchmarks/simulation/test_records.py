"""Large logs that are drawn from a real one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from benchmarks.simulation.records import Source
from pytest_modelconform.report import log
from tests.support import html_logs


@pytest.fixture
def source(tmp_path: Path) -> Source:
    small = html_logs.small()
    log.write(small, tmp_path / "real.jsonl")
    return Source.read(tmp_path / "real.jsonl")


def test_there_are_as_many_as_was_asked_for_and_each_has_its_own_name(source: Source, tmp_path: Path) -> None:
    source.write(tmp_path / "large.jsonl", 100)
    found = log.read(tmp_path / "large.jsonl")
    assert found.complete
    assert len({cell.id for cell, _ in found.cells}) == 100
    assert found.environment == html_logs.ABOUT
    # The first are the real ones, and all have the verdicts of those.
    real = Counter(outcome.verdict for _, outcome in html_logs.small().cells)
    for begin in (0, 12, 84):
        assert Counter(outcome.verdict for _, outcome in found.cells[begin : begin + 12]) == real
    assert [cell for cell, _ in found.cells[:12]] == [cell for cell, _ in html_logs.small().cells]


def test_copies_differ_in_their_numbers_and_are_the_same_each_time(source: Source) -> None:
    first, again = (list(source.cells(24)) for _ in range(2))
    assert first == again
    [a, b] = [outcome for cell, outcome in first if cell.case.startswith("net") and cell.runtime == "ort-cpp"]
    assert a.bits != b.bits
    assert a.inputs["pair"]["outputs"]["output"]["histogram"] == b.inputs["pair"]["outputs"]["output"]["histogram"]
    assert a.inputs["pair"]["seconds"] != b.inputs["pair"]["seconds"]


def test_wide_ones_have_more_columns_and_fewer_rows(source: Source) -> None:
    [narrow, wide] = [[cell for cell, _ in source.cells(48, times)] for times in (1, 4)]
    assert len({cell.format for cell in wide}) > len({cell.format for cell in narrow})
    assert len({(cell.file, cell.case) for cell in wide}) < len({(cell.file, cell.case) for cell in narrow})
    assert len(set(wide)) == len(wide)
