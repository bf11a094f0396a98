"""Every report can be measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.simulation import reports
from pytest_modelconform.report import log
from tests.support import html_logs


def test_all_reports_are_measured_beside_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log.write(html_logs.small(), tmp_path / "log.jsonl")
    found = list(reports.table(12, tmp_path / "log.jsonl", list(reports.REPORTS)))
    assert [one.report for one in found] == ["read", *reports.REPORTS]
    assert all(one.bytes > 0 and one.memory > 1_000_000 and one.seconds >= 0 for one in found)
    assert len(capsys.readouterr().out.splitlines()) == len(found) + 1


def test_a_log_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"the reports of .*gone\.jsonl ended with 1"):
        list(reports.measured(tmp_path / "gone.jsonl", ["json"]))
