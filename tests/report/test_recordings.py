"""What a run's cells took, as a file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_modelconform.commands import cli
from pytest_modelconform.report import log, recordings
from pytest_modelconform.report.log import Log
from pytest_modelconform.report.recordings import Known
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict

PASS = Outcome(Verdict.PASS, seconds={"export": 4.0, "load": 0.5}, cached=False, duration=7.123, memory=2_345_678_901)
A, B, C, D = (Cell("a.py", name, "onnx", "ort") for name in "abcd")


def test_a_log_as_a_file_and_back(tmp_path: Path) -> None:
    left_out = Outcome(Verdict.NOT_RUN, None, "not run: the session ended before")
    here = Outcome(Verdict.UNAVAILABLE, Stage.ENVIRONMENT, "missing", duration=0.001)
    log.write(
        Log({}, [(B, PASS), (A, PASS), (A, replace(PASS, duration=9.0)), (C, left_out), (D, here)]), tmp_path / "log"
    )
    target = tmp_path / "durations.json"
    assert cli.main(["report", str(tmp_path / "log"), "--format", "durations", "-o", str(target)]) == 0
    found = recordings.read(target)
    # A rerun counts as it ended. Memory to a megabyte. What did not run took nothing that is known.
    assert found.known == {
        A.id: Known("", 9.0, 9.0, 2_346_000_000, 2_346_000_000),
        B.id: Known("", 7.12, 7.12, 2_346_000_000, 2_346_000_000),
        D.id: Known("", 0.0, 0.0, 0, 0),
    }
    assert [line.partition(":")[0] for line in target.read_text().splitlines()[1:-1]] == [
        f'"{x.file}' for x in (A, B, D)
    ]
    # The same wherever it is, and in whatever order.
    other = tmp_path / "other.json"
    other.write_text(json.dumps(dict(reversed(json.loads(target.read_text()).items()))))
    assert recordings.read(other).digest == found.digest
    other.write_text(target.read_text().replace("9.0", "9.1"))
    assert recordings.read(other).digest != found.digest


@pytest.mark.parametrize(
    ("changed", "seconds"),
    [
        ({"cached": False}, 0.6 + 4.0 + 0.5 + 3 * 0.2),
        ({"cached": True}, 0.6 + 0.5 + 3 * 0.2),
        ({"verdict": Verdict.UNAVAILABLE}, None),
    ],
)
def test_of_logs_without_durations_the_stages_count(changed: dict[str, object], seconds: float | None) -> None:
    outcome = replace(PASS, duration=None, inputs={"one": {"seconds": 0.2}}, **changed)  # type: ignore[arg-type]
    found = recordings.of_log(Log({}, [(A, outcome)]))
    assert (found[A.id].made if found else None) == (None if seconds is None else pytest.approx(seconds))


def test_what_is_in_another_machines_cache_is_not_in_ours(tmp_path: Path) -> None:
    """The file of a cache may be passed on as it is."""
    path = tmp_path / "durations.json"
    path.write_text(json.dumps({A.id: ["0123456789ab", 50.0, 1.0, 7, 5], B.id: ["0123456789ab", 2.0, 1.0]}))
    known = recordings.read(path).known
    assert known[A.id].under("0123456789ab") == 50.0
    assert known[A.id].memory_under("0123456789ab") == 7
    assert known[B.id] == Known("", 2.0, 1.0, 0, 0)
