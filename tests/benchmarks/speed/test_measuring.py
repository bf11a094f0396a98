"""Commands and what they take."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.speed.measuring import Failed, Measured, Pairs, count_of, in_turn, measure, time_of, total
from pytest_modelconform.report import log
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Verdict

BURN = "import time\nwhile time.process_time() < 0.2: pass"
# A child that outlives its parent by a moment, as workers do that are killed.
ORPHAN = f"import subprocess, sys\nprint('begun', flush=True)\nsubprocess.Popen([sys.executable, '-c', {BURN!r}])"


@pytest.mark.parametrize(
    "script",
    [
        BURN,
        pytest.param(ORPHAN, marks=pytest.mark.skipif(sys.platform != "linux", reason="orphans come back on Linux")),
    ],
)
def test_what_a_command_starts_counts(script: str) -> None:
    found = measure([sys.executable, "-c", script])
    assert 0.2 <= found.core_seconds < 2
    assert found.wall > 0
    assert ("begun" in found.output) == (script == ORPHAN)


def test_a_command_that_fails_is_said_with_the_end_of_its_output(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; print('\\n'.join(map(str, range(50)))); sys.exit(3)"]
    with pytest.raises(Failed) as caught:
        measure(command)
    lines = str(caught.value).splitlines()
    assert lines[0].endswith(" ended with status 3:")
    assert lines[1:] == [f"  | {i}" for i in range(42, 50)]
    assert measure(command, statuses=(3,)).output.startswith("0\n")


def test_pairs_are_measured_in_turn_and_their_ratios_compared() -> None:
    order: list[str] = []

    def side(name: str, seconds: list[float]) -> Measured:
        order.append(name)
        return Measured(seconds.pop(0), 1.0, "")

    # The machine got busy for the second pair.
    ours, theirs = [10.0, 40.0, 12.0], [20.0, 80.0, 10.0]
    found = in_turn(lambda: side("ours", ours), lambda: side("theirs", theirs), 3)
    assert order == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert isinstance(found, Pairs)
    assert found.ratio == 0.5
    assert total([Measured(1.0, 2.0, "a"), Measured(3.0, 5.0, "b")]) == Measured(4.0, 7.0, "ab")


def test_logs_are_read(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    writer = log.LogWriter(path, {"cores": 2})
    for name in ("one", "two", "one"):
        writer.cell(Cell("a.py", name, "onnx", "ort", "cpu"), Outcome(Verdict.PASS, None, ""))
    assert (count_of(path), time_of(path)) == (2, {})
    writer.close(None, {"wall": 3.0, "core_seconds": {"run": 1.0}})
    assert time_of(path)["core_seconds"] == {"run": 1.0}
