"""The loop of a worker in JavaScript."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pytest_modelconform.workers import arrays
from tests.support import javascript, runs


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[javascript.Worker]:
    worker = javascript.Worker(javascript.echo(), tmp_path)
    yield worker
    worker.end()


def test_it_speaks_the_wire(worker: javascript.Worker) -> None:
    assert worker.ask("hello", protocol=1) == {
        "id": 1, "ok": True, "protocol": 1, "name": "echo", "version": "1", "language": "JavaScript", "layout": "flat",
        "devices": ["cpu"],
    }  # fmt: skip
    assert worker.ask("hello", protocol=2)["error"]["message"] == "this worker speaks protocol 1, not 2"
    unknown = worker.ask("dance", further="keys are ignored")["error"]
    assert unknown["message"] == "unknown operation 'dance'; known: flood, hang, hello, load, number, refuse, run"
    # What every object has is no operation.
    assert worker.ask("toString")["error"]["message"].startswith("unknown operation 'toString'")
    assert worker.ask("refuse")["error"] == {
        "type": "Refused", "message": "said so", "details": "trace", "stage": "export"
    }  # fmt: skip
    thrown = worker.ask("load", model="none")["error"]
    assert (thrown["type"], thrown["message"]) == ("TypeError", "no model none")
    assert "echo.mjs" in thrown["details"]
    assert worker.ask("number")["error"] == {"type": "", "message": "17", "details": "", "stage": ""}
    assert worker.ask("quit") == {"id": 8, "ok": True}
    assert worker.process.wait(20) == 0
    # The first answer counts from the start of the process.
    assert worker.spent[0][1] > max(spent for _, spent in worker.spent[1:]) >= 0


def test_nonsense_is_answered(worker: javascript.Worker) -> None:
    for nonsense in (b"nonsense", b"[1]", b"1", b"null", b'{"id": 1}', b"\xff", b"x" * (17 * 2**20)):
        answer = json.loads(worker.send(nonsense))
        assert (answer["ok"], bool(answer["error"]["message"])) == (False, True)
    assert answer["error"]["message"] == "a request of more than 16 MiB"
    assert worker.ask("flood")["error"]["message"] == "an answer of more than 16 MiB"
    # It still works.
    assert worker.get("load", model="echo")


def test_repeats(worker: javascript.Worker, tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    x, y = np.arange(3, dtype="int64") - 2**62, np.array([[0.0, -0.0]], dtype="float32")
    arrays.write(source, {"x": x, "y": y})
    request = {"inputs": str(source), "outputs": str(target), "repeats": 3}
    request |= {"feeds": [["a", "x"], ["b", "y"]], "fetches": ["out", "more"]}
    worker.get("load", model="echo")
    answer = worker.get("run", **request)
    tree = {"dict": [["out", {"tensor": "0/out"}], ["more", {"tensor": "0/more"}]]}
    assert answer["runs"] == [{"seconds": 0.5, "outputs": tree}, *[{"seconds": 0.5, "same_as": 0}] * 2]
    assert answer["inputs_changed"] == []
    found = arrays.read(target)
    assert {key: value.tobytes() for key, value in found.items()} == {"0/out": x.tobytes(), "0/more": y.tobytes()}
    # What was printed, by whichever way, is on stderr.
    assert set(worker.stderr.read_text().split("\n")) >= {"printed", "written", "put there"}

    # The second input: 0.0 becomes 1.0, and the file's stays as it was.
    worker.get("load", model="changes")
    answer = worker.get("run", **request | {"feeds": [["b", "y"]], "fetches": ["out"]})
    assert answer["inputs_changed"] == ["y"]
    assert [list(run) for run in answer["runs"]] == [["seconds", "outputs"], *[["seconds", "same_as"]] * 2]
    assert arrays.read(target)["0/out"].tolist() == [[1.0, 0.0]]

    # Each run differs by the bits of one element.
    worker.get("load", model="unstable")
    answer = worker.get("run", **request | {"feeds": [["b", "y"]], "fetches": ["out"]})
    assert [list(run) for run in answer["runs"]] == [["seconds", "outputs"]] * 3
    assert [value.tolist() for value in arrays.read(target).values()] == [[[0.0, 0.0]], [[1.0, 0.0]], [[2.0, 0.0]]]

    missing = worker.ask("run", **request | {"feeds": [["a", "z"]]})["error"]["message"]
    assert missing == "the inputs' file has no tensor z"


def test_the_end_of_stdin_ends_it(worker: javascript.Worker) -> None:
    assert worker.process.communicate(timeout=20)[0] == b""
    assert worker.process.returncode == 0


def test_it_does_not_start_without_its_parent(tmp_path: Path) -> None:
    worker = javascript.Worker(javascript.echo(), tmp_path, {"MODELCONFORM_PARENT": "1"})
    assert worker.process.communicate(timeout=20)[0] == b""
    assert worker.process.returncode == 1


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    # Even one that is busy, and does not look at stdin.
    hangs = tmp_path / "hangs"
    script = (
        "import os, subprocess, time\n"
        "env = {**os.environ, 'MODELCONFORM_PARENT': str(os.getpid())}\n"
        f"worker = subprocess.Popen({javascript.echo()!r}, env=env, stdin=subprocess.PIPE)\n"
        'worker.stdin.write(b\'{"id": 1, "op": "hang"}\\n\')\n'
        "worker.stdin.flush()\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "ECHO_HANGS": str(hangs)})
    try:
        runs.wait_until(lambda: hangs.exists() and hangs.read_text() != "", 30, "no worker")
        worker = int(hangs.read_text())
        assert runs.is_alive(worker)
        assert Path(f"/proc/{worker}/oom_score_adj").read_text() in ("1000\n", "0\n")
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait(10)
    runs.wait_until(lambda: not runs.is_alive(worker), 10, "it lives")


def test_it_ends_with_the_watchdogs_pipe(tmp_path: Path) -> None:
    # Where there is no prctl; even while the main thread is busy.
    hangs = tmp_path / "hangs"
    watch, hold = os.pipe()
    env = {**os.environ, "MODELCONFORM_WATCHDOG": str(watch), "ECHO_HANGS": str(hangs)}
    # Without become.py, whose own thread goes with exec.
    command = javascript.echo()[-2:]
    process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=(watch,))
    os.close(watch)
    assert process.stdin is not None
    process.stdin.write(b'{"id": 1, "op": "hang"}\n')
    process.stdin.flush()
    runs.wait_until(lambda: hangs.exists(), 30, "no worker")
    assert process.poll() is None
    os.close(hold)
    assert process.wait(20) == -signal.SIGKILL
    process.stdin.close()
