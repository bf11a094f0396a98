"""What is looked for after a mishap is found: else nothing that the benchmark says would count."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.mishaps import processes, sandbox
from benchmarks.mishaps.project import FLAVOURS
from benchmarks.mishaps.sandbox import Sandbox
from pytest_modelconform.report.log import LogWriter
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
PLAIN = FLAVOURS["plain"]
CELLS = [
    cell
    for name in PLAIN.cases
    for cell in (Cell(f"{name}.py", "case", "eager", "eager"), Cell(f"{name}.py", "case", "torchscript-trace", "torch"))
]


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    monkeypatch.setattr(sandbox, "END", 0.5)
    (tmp_path / "base").mkdir()
    made = Sandbox(tmp_path / "base", PLAIN, f"test-{os.getpid()}")
    yield made
    made.remove()
    assert not made.root.exists()


def write(box: Sandbox, cells: list[tuple[Cell, Verdict]], close: bool = True) -> None:
    writer = LogWriter(box.log("run"), {})
    for cell, verdict in cells:
        writer.cell(cell, Outcome(verdict, Stage.RUN, "said"))
    writer.close() if close else writer.abandon()


def test_a_whole_log_has_no_fault(box: Sandbox) -> None:
    write(box, [(cell, Verdict.PASS) for cell in CELLS])
    assert box.flavour.count == len(CELLS)
    assert box.faults_of_log("run") == []
    assert box.verdicts("run") == "6 pass"


def test_what_is_wrong_with_a_log_is_seen(box: Sandbox) -> None:
    assert box.faults_of_log("run") == ["there is no log"]
    assert box.faults_of_log("run", is_whole=False) == []
    write(box, [(CELLS[0], Verdict.PASS), (CELLS[0], Verdict.CRASH), (CELLS[1], Verdict.MISMATCH)], close=False)
    assert box.faults_of_log("run") == [
        f"twice in the log: {CELLS[0].id}",
        "the log has no end",
        "2 of 6 cells have a verdict",
        f"{CELLS[1].id} is mismatch: ['said']",
    ]
    box.log("run").write_text("nonsense\n")
    assert "can't be read" in box.faults_of_log("run")[0]


def test_what_is_left_is_seen(box: Sandbox) -> None:
    assert box.left() == []
    (box.temporary / "pytest-of-somebody").mkdir()
    (box.temporary / "modelconform-x").mkdir()
    env = {**os.environ, processes.MARK: box.mark}
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=env)
    try:
        found = box.left()
    finally:
        box.remove()  # which ends it
    assert child.wait(10) == -signal.SIGKILL
    assert len(found) == 2
    assert found[0].startswith("process left: other ")
    assert found[1] == "temporary folder left: modelconform-x"


@pytest.mark.parametrize(
    ("name", "words", "role"),
    [
        ("python3", "python3 -I -S /x/pytest_modelconform/cache/keeper.py 1-a /tmp/x", "keeper"),
        ("python3", "python3 -c import json; from pytest_modelconform.cells import ahead; ahead.main()", "ahead"),
        ("python3", "python3 /x/workers/start.py /x/workers/host/host.py --device cpu", "host"),
        ("python3", "python3 /x/workers/start.py /x/workers/python/torch_worker.py --device cpu", "runtime"),
        ("harness", "/c/harness/libtorch-1/harness --device cpu", "runtime"),
        ("python3", "python3 -u -c import sys;exec(eval(sys.stdin.readline()))", "xdist"),
        (
            "python3",
            "python3 -c … from pytest_modelconform.cluster.process import main; main(5, 7)",
            "pytest on a node",
        ),
        ("raylet", "/x/ray/core/src/ray/raylet/raylet --raylet_socket_name=x", "node"),
        ("ray::IDLE", "ray::IDLE", "Ray worker"),
        ("cc1plus", "/usr/lib/gcc/cc1plus -quiet x.cpp", "compiler"),
        ("ninja", "ninja", "compiler"),
        ("uv", "uv pip install x", "installer"),
        ("python3", "python3 -m venv x", "installer"),
        ("sh", "sh", "other"),
    ],
)
def test_what_a_process_is(name: str, words: str, role: str) -> None:
    assert processes.role_of(name, words) == role
