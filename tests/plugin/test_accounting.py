"""What a run's time went into, in the footer of its log and in a line at its end."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelconform.plugin import accounting
from pytest_modelconform.plugin.progress import Used
from pytest_modelconform.report import log
from tests.support import runs
from tests.support.fakes import REPOSITORY

RECORD = {
    "wall": 612.4,
    "processes": 2,
    "core_seconds": {
        "export": 685.2, "load": 56.1, "run": 23.4, "start": 60.0, "reference": 40.3, "pytest": 30.9, "collect": 6.2,
        "other": 8.1, "harness": 70.0,
    },
}  # fmt: skip


def footer(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text().splitlines()[-1])
    assert found["kind"] == "footer"
    return found


@pytest.mark.parametrize("processes", [1, 2])
def test_the_footer_has_what_all_processes_spent(project: Path, tmp_path: Path, processes: int) -> None:
    """Of the workers of xdist, too; the case is as new to each run's cache, so that all kinds are there."""
    path = tmp_path / "run.jsonl"
    how = ["-n", "2"] if processes == 2 else ["-p", "no:xdist"]
    cache = f"--modelconform-cache={tmp_path / 'cache'}"
    found = runs.run(project, "plain.py", f"--modelconform-log={path}", cache, *how, *runs.OTHERS_PLUGINS)
    assert found.status == 0
    time = footer(path)["time"]
    assert time["processes"] == processes
    spent = time["core_seconds"]
    assert {"start", "collect", "reference", "export", "load", "run", "pytest", "other"} <= set(spent)
    assert all(seconds >= 0 for seconds in spent.values())
    # A case host and a fake each import torch; the export of one multiplication is nothing beside that.
    assert spent["start"] > spent["export"] > 0
    assert 0 < time["wall"] < 300
    # It was short.
    assert "core-seconds" not in found.stdout
    assert log.read(path).complete


def test_a_long_run_says_what_took_it(
    project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounting, "_LONG", 0.0)
    found = runs.run_here(pytester, project, "plain.py")
    last = found.stdout.partition("\nlog: ")[2].splitlines()[1]
    assert last.startswith("modelconform: ")
    assert " s in 1 process" in last


def test_a_long_run_on_several_processes_ends_with_one_line_on_time(project: Path, tmp_path: Path) -> None:
    (tmp_path / "patience.py").write_text("from pytest_modelconform.plugin import accounting\naccounting._LONG = 0.0\n")
    path = {"PYTHONPATH": f"{tmp_path}:{REPOSITORY}"}
    found = runs.run(project, "plain.py", "-n", "2", "-p", "patience", *runs.OTHERS_PLUGINS, env=path)
    after = found.stdout.partition("\nlog: ")[2].splitlines()[1:-1]
    [line] = [line for line in after if line.startswith("modelconform: ")]
    assert re.match(r"modelconform: \d+ s in 2 processes, idle for [\d.]+% while cells ran", line)


def test_the_line_names_the_largest_kinds_and_is_narrow() -> None:
    assert accounting.said(RECORD) == (
        "modelconform: 612 s in 2 processes; core-seconds: export 685, harness 70, start\n"
        "  60, load 56, reference 40, pytest 31, other 38"
    )
    # One line for all, where several processes were used; of a short run only that.
    used = Used(600.0, 2, 1140.0)
    assert accounting.said(RECORD, used) == (
        "modelconform: 612 s in 2 processes, idle for 5.0% while cells ran; core-seconds:\n"
        "  export 685, harness 70, start 60, load 56, reference 40, pytest 31, other 38"
    )
    assert accounting.said(None, used) == "modelconform: cells took 600 s on 2 processes, idle for 5.0% of that"
    assert len(accounting.said(None, Used(86400.0, 128, 1.0))) <= 80
    assert accounting.said({"wall": 1.0, "processes": 1, "core_seconds": {"run": 0.2}}) == (
        "modelconform: 1 s in 1 process"
    )


def test_processes_on_nodes_count_as_they_tell_of_themselves() -> None:
    config: Any = SimpleNamespace(getoption=lambda name, default: default)
    found = accounting.Accounting(config)
    for spent in ({"export": 2.0}, {"export": 3.0}):
        found.pytest_testnodedown(SimpleNamespace(workeroutput={"modelconform_core_seconds": spent}))
    # One that died.
    found.pytest_testnodedown(SimpleNamespace(workeroutput={}))
    record = found.record()
    assert record["processes"] == 2
    assert record["core_seconds"]["export"] == 5.0
