"""Runs whose disks are full: each cell is tested all the same, or nothing is said of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_modelconform.cache import disk
from pytest_modelconform.cells.stages import without_room
from pytest_modelconform.expected import file as expected_file
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from tests.support import runs, small_disk

FAILED = Outcome(Verdict.CRASH, Stage.RUN, "the process was killed by SIGBUS")
EXPECTED = """\
[[expect]]
cell = "plain.py::*"
verdict = "error"
stage = "environment"
reason = "nothing of this is ever known"
"""


def test_the_run_goes_on_uncached(tmp_path: Path) -> None:
    project = runs.write(tmp_path / "project", {"plain.py": runs.PLAIN})
    with small_disk.mounted(tmp_path / "small") as folder:
        small_disk.fill(folder)
        found = runs.run(project, "-n2", env={"MODELCONFORM_CACHE": str(folder)})
    assert found.status == 0, found.stdout + found.stderr
    assert {cell["verdict"] for cell in found.cells.values()} == {"pass"}
    said = f"modelconform: the cache {folder} is full (No space left on device): what this run makes is not kept; "
    assert said in found.stdout.partition("compatibility matrix")[0]
    end = found.stdout.partition("compatibility matrix")[2]
    assert end.count(said) == 1


def test_where_nothing_has_room_no_expectation_holds(
    tmp_path: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = runs.write(tmp_path / "project", {"plain.py": runs.PLAIN, "expected.toml": EXPECTED})
    monkeypatch.setenv("MODELCONFORM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(disk, "free", lambda folder: 0)
    monkeypatch.setattr(disk, "fault", lambda folder: "No space left on device")
    found = runs.run_here(pytester, project, "plain.py")
    assert found.status == pytest.ExitCode.TESTS_FAILED
    [cell] = found.cells.values()
    assert (cell["verdict"], cell["stage"], cell["expected"]) == ("error", "environment", None)
    said = f"not tested: nothing could be written (No space left on device), neither in the cache {tmp_path / 'cache'} "
    assert cell["message"].startswith(said)


def test_a_worker_that_could_not_write_says_nothing_of_its_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert without_room(FAILED, tmp_path) is FAILED
    words = replace(FAILED, verdict=Verdict.ERROR, message="OSError: [Errno 28] No space left on device")
    by_words = without_room(words, tmp_path)
    monkeypatch.setattr(disk, "fault", lambda folder: "No space left on device")
    by_probe = without_room(FAILED, tmp_path)
    said = [
        "the runtime's process could not write a file (No space left on device). Free space on the disks of TMPDIR and "
        "/dev/shm.",
        f"the temporary folder {tmp_path.parent} has no room (No space left on device). Free space, or set TMPDIR.",
    ]
    for outcome, text in zip((by_words, by_probe), said, strict=True):
        assert (outcome.verdict, outcome.stage, outcome.is_silent) == (Verdict.ERROR, Stage.ENVIRONMENT, True)
        assert outcome.message == f"not tested: {text}"
        [entry] = expected_file.parse(EXPECTED, tmp_path / "expected.toml").entries
        assert expected_file.judge(outcome, entry, None) is outcome
        assert expected_file.settle(outcome, entry, None) is outcome
    wrong = Outcome(Verdict.MISMATCH, Stage.COMPARE, "other numbers")
    assert without_room(wrong, tmp_path) is wrong
