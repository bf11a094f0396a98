"""The transport: whatever a process does is one of four exceptions."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_modelconform.cells.worker import (
    LONGEST_LINE,
    STDERR_LINES,
    STDERR_SHOWN,
    InlineWorker,
    Worker,
    WorkerCrashed,
    WorkerLied,
    WorkerProblem,
    WorkerRefused,
    WorkerTimeout,
)
from pytest_modelconform.terms.wording import how_it_ended
from pytest_modelconform.workers.loop import WorkerError
from tests.support import fakes, memory_group, runs

Start = Callable[..., Worker]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[Worker] = []

    def begin(fake: str = "", script: str = "", env: dict[str, str] | None = None, on_gpu: bool = False) -> Worker:
        """A fake, or a Python script that speaks to stdout as it likes."""
        command = fakes.command_line(fake) if fake else [sys.executable, "-c", script]
        started.append(Worker("fake", command, {**os.environ, **(env or {})}, on_gpu))
        return started[-1]

    yield begin
    for worker in started:
        worker.close(kill=True)


def answering(text: str) -> str:
    """A script that answers the first request with a text."""
    return f"import sys, time\nsys.stdin.readline()\nsys.stdout.write({text!r})\nsys.stdout.flush()\ntime.sleep(60)"


def test_a_conversation(start: Start) -> None:
    worker = start("good@never")
    worker.hello(20)
    assert worker.info["name"] == "fake"
    assert (worker.info["layout"], worker.info["protocol"]) == ("tree", 1)
    with pytest.raises(WorkerRefused) as refused:
        worker.ask("dance", 5)
    assert str(refused.value) == "unknown operation 'dance'; known: concurrent, hello, load, run, unload"
    with pytest.raises(WorkerRefused, match=r"^FileNotFoundError: .*nowhere") as missing:
        worker.ask("load", 5, model="/nowhere")
    assert missing.value.kind == "FileNotFoundError"
    assert "Traceback" in missing.value.details
    worker.ask("unload", 5)
    worker.close()
    assert not worker.alive
    worker.close()


FULL = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8.00 GiB"


@pytest.mark.parametrize("on_gpu", [True, False])
def test_a_gpu_without_memory_is_known_by_what_is_said(start: Start, on_gpu: bool) -> None:
    error = {"type": "OutOfMemoryError", "message": FULL, "details": "", "stage": ""}
    refused = start(script=answering(json.dumps({"id": 1, "ok": False, "error": error}) + "\n"), on_gpu=on_gpu)
    with pytest.raises(WorkerRefused, match=r"^OutOfMemoryError: CUDA out of memory") as problem:
        refused.hello(20)
    assert problem.value.exhausted is on_gpu
    # libtorch, where it is thrown in a thread of its own.
    words = f"terminate called after throwing an instance of 'c10::OutOfMemoryError'\n  what():  {FULL}\n"
    died = start(script=f"import os, sys; sys.stderr.write({words!r}); sys.stderr.flush(); os.abort()", on_gpu=on_gpu)
    with pytest.raises(WorkerCrashed, match="SIGABRT") as crash:
        died.hello(20)
    assert crash.value.exhausted is on_gpu
    other = start(script="import os; os.abort()", on_gpu=on_gpu)
    with pytest.raises(WorkerCrashed) as crash:
        other.hello(20)
    assert not crash.value.exhausted


def test_large_requests_pass(start: Start) -> None:
    worker = start("good@never")
    worker.hello(20)
    assert worker.ask("unload", 20, padding="x" * 5_000_000)["ok"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello\n", "a line that isn't JSON: b'hello'"),
        ("{}\n", "an answer that does not belong to request 1: b'{}'"),
        ("[]\n", "an answer that does not belong to request 1"),
        ("null\n", "an answer that does not belong to request 1"),
        ('{"id": 1}\n', "an answer that does not belong to request 1"),
        ('{"id": 1, "ok": "yes"}\n', "an answer that does not belong to request 1"),
        ('{"id": "1", "ok": true}\n', "an answer that does not belong to request 1"),
        ('{"id": 2, "ok": true}\n', "an answer that does not belong to request 1"),
        ("\n", "a line that isn't JSON: b''"),
        ('{"id": 1, "ok": true, "protocol": 2}\n', "protocol 2; pytest-modelconform speaks protocol 1"),
        ('{"id": 1, "ok": true}\n', "protocol None; pytest-modelconform speaks protocol 1"),
    ],
)
def test_lies_end_the_worker(start: Start, text: str, message: str) -> None:
    worker = start(script=answering(text))
    with pytest.raises(WorkerLied) as lied:
        worker.hello(20)
    assert str(lied.value).startswith(f"fake broke the protocol with {message}")
    assert not worker.alive


def test_an_answer_that_nobody_asked_for(start: Start) -> None:
    worker = start(script=answering('{"id": 1, "ok": true, "protocol": 1}\n{"id": 2, "ok": true}\n'))
    worker.hello(20)
    with pytest.raises(WorkerLied, match=r"nobody asked for: b'\{\"id\": 2"):
        worker.ask("load", 5)


def test_an_answer_in_pieces_is_one(start: Start) -> None:
    pieces = ['{"id": 1, "ok"', ': true, "protocol"', ': 1, "name": "é', '"}\n']
    script = "import sys, time\nsys.stdin.readline()\n" + "".join(
        f"sys.stdout.write({piece!r}); sys.stdout.flush(); time.sleep(0.05)\n" for piece in pieces
    )
    worker = start(script=script + "time.sleep(60)", env={"PYTHONIOENCODING": "utf-8"})
    worker.hello(20)
    assert worker.info["name"] == "é"


def test_a_flood_ends_before_memory_does(start: Start) -> None:
    worker = start(script="import sys\nwhile True: sys.stdout.write('x' * 2**20)")
    with pytest.raises(WorkerLied, match="a line of more than 16 MiB: b'xxx"):
        worker.hello(20)
    assert not worker.alive
    assert LONGEST_LINE == 16 * 2**20


@pytest.mark.parametrize("error", ["null", "[]", '"text"', "{}", '{"message": 5, "type": null}'])
def test_an_error_without_content_is_one_all_the_same(start: Start, error: str) -> None:
    worker = start(script=answering(f'{{"id": 1, "ok": false, "error": {error}}}\n'))
    with pytest.raises(WorkerRefused, match=r"^(no message|5)$"):
        worker.hello(20)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("import os; os._exit(3)", "fake ended with status 3 instead of answering"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "fake was killed by SIGTERM"),
        ("import sys; print('a\\n\\nb', file=sys.stderr); sys.exit(1)", "status 1 instead of answering\n  | a\n  | b"),
    ],
)
def test_the_end_of_a_process(start: Start, script: str, message: str) -> None:
    with pytest.raises(WorkerCrashed) as crashed:
        start(script=script).hello(20)
    assert message in str(crashed.value)


def test_a_process_that_ended_before_it_was_asked(start: Start) -> None:
    worker = start(script="import sys; sys.stdin.close(); sys.exit(4)")
    runs.wait_until(lambda: not worker.alive, 20, "it lives")
    with pytest.raises(WorkerCrashed, match="ended with status 4"):
        worker.hello(20)


def test_output_closed_without_an_end(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "import os, sys, time\nsys.stdin.readline()\nos.close(1)\ntime.sleep(60)"
    wait = subprocess.Popen.wait
    monkeypatch.setattr(subprocess.Popen, "wait", lambda self, timeout=None: wait(self, timeout and min(timeout, 0.3)))
    worker = start(script=script)
    with pytest.raises(WorkerCrashed, match="closed its output without an answer"):
        worker.hello(20)
    monkeypatch.undo()
    assert not worker.alive


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WorkerCrashed, match=f"can't start {tmp_path}/nothing: "):
        Worker("fake", [f"{tmp_path}/nothing"], {})


def test_a_timeout_takes_the_whole_group(start: Start, tmp_path: Path) -> None:
    script = (
        "import subprocess, sys, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"pathlib.Path({str(tmp_path / 'child')!r}).write_text(str(child.pid))\n"
        "print('waiting', file=sys.stderr)\n"
        "child.wait()\n"
    )
    worker = start(script=script)
    runs.wait_until(lambda: (tmp_path / "child").exists() and bool(worker.stderr()), 20, "no child")
    child = int((tmp_path / "child").read_text())
    begin = time.monotonic()
    with pytest.raises(WorkerTimeout, match=r"^fake gave no answer within 0\.3 s$") as timeout:
        worker.hello(0.3)
    assert time.monotonic() - begin < 10
    assert "waiting" in timeout.value.details
    assert not worker.alive
    runs.wait_until(lambda: not runs.is_alive(child), 10, "the child lives")


def test_whoever_breaks_off_a_question_ends_the_worker(start: Start) -> None:
    """Its answer would be taken for the next one's."""
    worker = start(script="import time; time.sleep(60)")

    def end(*_: object) -> None:
        pytest.fail("from outside")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(pytest.fail.Exception, match="from outside"):
            worker.ask("load", 30)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert not worker.alive


def test_a_worker_that_does_not_read_is_a_timeout_too(start: Start) -> None:
    worker = start(script="import time; time.sleep(60)")
    with pytest.raises(WorkerTimeout):
        worker.ask("load", 0.5, padding="x" * 10_000_000)


def test_the_last_lines_of_stderr(start: Start) -> None:
    script = (
        "import os, sys\n"
        "for i in range(1000): print('line', i, file=sys.stderr)\n"
        "os.write(2, b'x' * 100_000 + b'end\\n\\xff\\x1b[31m\\n')\n"
        "os.abort()\n"
    )
    worker = start(script=script)
    with pytest.raises(WorkerCrashed) as crashed:
        worker.hello(20)
    lines = str(crashed.value).splitlines()
    assert lines[0] == "fake was killed by SIGABRT (abort)"
    assert len(lines) == 1 + STDERR_SHOWN
    assert lines[-2].endswith("xend")
    assert len(lines[-2]) < 2100
    assert len(crashed.value.details.splitlines()) <= STDERR_LINES


def test_a_closed_worker_is_asked_politely_first(start: Start, tmp_path: Path) -> None:
    script = (
        "import sys, json, pathlib\n"
        "request = json.loads(sys.stdin.readline())\n"
        f"pathlib.Path({str(tmp_path / 'op')!r}).write_text(request['op'])\n"
        'print(\'{"id": 0, "ok": true}\', flush=True)\n'
    )
    start(script=script).close()
    assert (tmp_path / "op").read_text() == "quit"


def test_workers_leave_ctrl_c_to_us_and_are_leaders(start: Start) -> None:
    worker = start("good@never")
    worker.hello(20)
    os.kill(worker.pid, signal.SIGINT)
    worker.ask("unload", 10)
    assert os.getsid(worker.pid) == worker.pid


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (0, "ended with status 0 instead of answering"),
        (-signal.SIGSEGV, "was killed by SIGSEGV (segmentation fault)"),
        (-signal.SIGKILL, "was killed by SIGKILL (by the kernel, where memory ran out)"),
        (-250, "was killed by signal 250"),
    ],
)
def test_ends_in_words(status: int, text: str) -> None:
    assert how_it_ended(status) == text


def test_inline_exceptions_pass_through() -> None:
    def fail(request: dict[str, object]) -> dict[str, object]:
        raise ZeroDivisionError("as it was")

    worker = InlineWorker("fake", {"hello": lambda request: {"name": "x"}, "run": fail})
    worker.hello(1)
    assert worker.info == {"name": "x", "protocol": 1, "ok": True}
    with pytest.raises(ZeroDivisionError, match="as it was"):
        worker.ask("run", 1)
    with pytest.raises(WorkerError, match="unknown operation 'load'; known: hello, run"):
        worker.ask("load", 1)
    worker.close()
    assert not worker.alive


def test_all_problems_are_one_kind() -> None:
    assert all(issubclass(kind, WorkerProblem) for kind in (WorkerRefused, WorkerCrashed, WorkerTimeout, WorkerLied))


# Joins a group, and asks a worker there for more memory than it has.
STARVING = """
import os, sys
from pathlib import Path
Path(sys.argv[1]).write_text(str(os.getpid()))
from pytest_modelconform.cells.worker import Worker, WorkerCrashed
script = "import sys; sys.stdin.readline(); block = bytearray(600_000_000)"
worker = Worker("greedy", [sys.executable, "-c", script], dict(os.environ))
try:
    worker.ask("load", 60)
except WorkerCrashed as problem:
    print(problem.exhausted, problem, sep="|")
script = "import os, sys; sys.stdin.readline(); os.kill(os.getpid(), 9)"
other = Worker("killed", [sys.executable, "-c", script], dict(os.environ))
try:
    other.ask("load", 60)
except WorkerCrashed as problem:
    print(problem.exhausted, problem, sep="|")
"""


def test_an_end_by_the_kernel_is_told_from_any_other() -> None:
    with memory_group.limited(300_000_000) as group:
        done = subprocess.run([sys.executable, "-c", STARVING, str(group)], capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert re.fullmatch(
        r"True\|greedy was killed by SIGKILL \(memory ran out, and the kernel ended it: it had taken 0\.[0123] GB or "
        r"more, the machine has 0\.3 GB\)",
        first,
    )
    # What is ended by others is a crash, also where the kernel has ended one before.
    assert second.startswith("False|killed was killed by SIGKILL (memory ")
    assert "the kernel" not in second
