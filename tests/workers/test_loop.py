"""The loop and the start of a Python worker, under this Python and, where there is one, under Python 3.8."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_modelconform.workers import loop, tensors
from pytest_modelconform.workers.loop import WorkerError, describe, handle
from pytest_modelconform.workers.tensors import Tensor
from tests.support import fakes, runs


def python38() -> str | None:
    """A Python 3.8, from pyenv or from PATH."""
    candidates: list[Path] = []
    if pyenv := shutil.which("pyenv"):
        root = subprocess.run([pyenv, "root"], capture_output=True, encoding="utf-8", check=False).stdout.strip()
        candidates += sorted(Path(root, "versions").glob("3.8.*/bin/python"))
    if found := shutil.which("python3.8"):
        candidates.append(Path(found))
    for candidate in candidates:
        done = subprocess.run(
            [candidate, "-c", "import sys; print(sys.version_info[:2])"],
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        if done.stdout.strip() == "(3, 8)":
            return str(candidate)
    return None


@pytest.fixture(params=["this", "3.8"])
def python(request: pytest.FixtureRequest) -> str:
    if request.param == "this":
        return sys.executable
    found = python38()
    if found is None:
        pytest.skip("there is no Python 3.8 here, neither in pyenv's folder nor on PATH")
    return found


class Talk:
    """A worker, spoken to by hand."""

    def __init__(self, command: list[str], **env: str) -> None:
        env = {**os.environ, "MODELCONFORM_PARENT": str(os.getpid()), **env}
        self.process = subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8"
        )

    def ask(self, text: str | dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write((text if isinstance(text, str) else json.dumps(text)) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        self.spent = answer.pop("core_seconds")
        return answer


@pytest.fixture
def talks() -> Iterator[list[Talk]]:
    started: list[Talk] = []
    yield started
    for talk in started:
        talk.process.kill()
        talk.process.communicate()


def test_a_worker_speaks_the_wire(python: str, talks: list[Talk], tmp_path: Path) -> None:
    talk = Talk(fakes.command_line("chatty@run", python))
    talks.append(talk)
    hello = talk.ask({"id": 7, "op": "hello", "protocol": 1})
    assert hello == {
        "id": 7, "ok": True, "protocol": 1, "name": "fake", "version": "1.0", "language": "Python", "layout": "tree",
        "devices": ["cpu", "cuda"],
    }  # fmt: skip
    refused = talk.ask({"id": 8, "op": "hello", "protocol": 2})
    assert (refused["id"], refused["ok"]) == (8, False)
    assert refused["error"]["message"] == "this worker speaks protocol 1, not 2"
    unknown = talk.ask({"id": 9, "op": "dance", "further": "keys are ignored"})
    assert unknown["error"]["message"] == "unknown operation 'dance'; known: concurrent, hello, load, run, unload"
    for nonsense in ("nonsense", "[1]", '{"id": 1}', "é"):
        answer = talk.ask(nonsense)
        assert (answer["ok"], "message" in answer["error"]) == (False, True)

    model = tmp_path / "model"
    model.touch()
    assert talk.ask({"id": 10, "op": "load", "model": str(model), "format": "any"})["ok"]
    source, target = tmp_path / "in", tmp_path / "out"
    two_and_three = b"\x00\x00\x00\x40\x00\x00\x40\x40"
    tensors.write(str(source), {"x": Tensor("float32", (2,), two_and_three)})
    request = {"id": 11, "op": "run", "inputs": str(source), "outputs": str(target), "repeats": 2}
    # What the model prints, from Python and from C, goes to stderr.
    answer = talk.ask({**request, "args": [{"tensor": "x"}], "kwargs": []})
    assert [list(run) for run in answer["runs"]] == [["seconds", "outputs"], ["seconds", "same_as"]]
    found = tensors.read(str(target))["0"]
    assert (found.dtype, found.shape, bytes(found.data)) == ("float32", (2,), b"\x00\x00\xe0\x40\x00\x00\x20\x41")
    failed = talk.ask({"id": 12, "op": "load", "model": "/nowhere"})
    assert failed["error"]["type"] == "FileNotFoundError"
    assert "Traceback" in failed["error"]["details"]
    assert talk.ask({"id": 13, "op": "quit"}) == {"id": 13, "ok": True}
    assert talk.process.wait(10) == 0


BURNS = """
import subprocess, sys, time
BURN = "import time\\nwhile time.process_time() < 0.3: pass"
def here(request):
    end = time.process_time() + 0.3
    while time.process_time() < end: pass
    if request.get("fails"): raise ValueError
    return {}
def child(request):
    subprocess.run([sys.executable, "-c", BURN], check=True)
    return {}
def handlers(device, threads):
    return {"hello": lambda request: {}, "here": here, "child": child}
"""


def test_an_answer_says_what_was_spent_since_the_last_one(python: str, talks: list[Talk], tmp_path: Path) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(BURNS)
    talk = Talk([python, str(Path(loop.__file__).with_name("start.py")), str(worker)])
    talks.append(talk)
    talk.ask({"id": 1, "op": "hello", "protocol": 1})
    # Since the process began: an interpreter doesn't start for nothing.
    assert 0.005 < talk.spent < 5
    for op, fails in [("here", False), ("child", False), ("here", True)]:
        talk.ask({"id": 2, "op": op, "fails": fails})
        assert 0.29 < talk.spent < 0.6, (op, fails)
        talk.ask({"id": 3, "op": "hello", "protocol": 1})
        assert talk.spent < 0.1


def test_the_end_of_stdin_ends_it(python: str, talks: list[Talk]) -> None:
    talk = Talk(fakes.command_line("good@never", python))
    talks.append(talk)
    assert talk.process.communicate(timeout=20)[0] == ""
    assert talk.process.returncode == 0


def test_a_handler_that_exits_does_not_take_the_worker_along(talks: list[Talk], tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.touch()
    talk = Talk(fakes.command_line("sysexit@load"))
    talks.append(talk)
    answer = talk.ask({"id": 1, "op": "load", "model": str(model)})
    # With the line of the worker's author, since none of the stack is his but this.
    assert answer["error"]["type"] == "SystemExit"
    assert re.fullmatch(r"3\n  at \S*worker.py:\d+, in sysexit: sys.exit\(3\)", answer["error"]["message"])
    assert talk.ask({"id": 2, "op": "unload"})["ok"]


def test_it_does_not_start_without_its_parent(talks: list[Talk]) -> None:
    talk = Talk(fakes.command_line("good@never"), MODELCONFORM_PARENT="1")
    talks.append(talk)
    assert talk.process.communicate(timeout=20)[0] == ""
    assert talk.process.returncode == 1


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_it_dies_with_its_parent(tmp_path: Path, python: str) -> None:
    # Even one that is busy, and does not look at stdin.
    script = (
        "import os, subprocess, sys, time\n"
        f"line = {fakes.command_line('endless@start', python)!r}\n"
        "env = {**os.environ, 'MODELCONFORM_PARENT': str(os.getpid())}\n"
        "subprocess.Popen(line, env=env, stdin=subprocess.PIPE)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "FAKE_PIDS": str(tmp_path)})
    try:
        runs.wait_until(lambda: any(tmp_path.glob("sleeping-*")), 20, "no worker")
        [worker] = [int(path.name.partition("-")[2]) for path in tmp_path.glob("sleeping-*")]
        assert runs.is_alive(worker)
        assert Path(f"/proc/{worker}/oom_score_adj").read_text() in ("1000\n", "0\n")
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait(10)
    runs.wait_until(lambda: not runs.is_alive(worker), 10, "it lives")


def test_it_ends_with_the_watchdogs_pipe(talks: list[Talk], python: str) -> None:
    watch, hold = os.pipe()
    command = fakes.command_line("good@never", python)
    env = {**os.environ, "MODELCONFORM_WATCHDOG": str(watch)}
    process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(watch,))
    os.close(watch)
    assert process.poll() is None
    os.close(hold)
    assert process.wait(20) == 1
    for stream in (process.stdin, process.stdout):
        assert stream is not None
        stream.close()


def test_neither_the_workers_folder_nor_the_current_one_is_on_the_path(talks: list[Talk], tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('shadowed')")
    worker = tmp_path / "elsewhere" / "onnx.py"
    worker.parent.mkdir()
    worker.write_text(
        "import sys\n"
        "def handlers(device, threads):\n"
        "    said = {'name': device, 'version': str(threads), 'path': sys.path, 'module': __name__}\n"
        "    return {'hello': lambda request: said}\n"
    )
    start = Path(loop.__file__).with_name("start.py")
    command = [sys.executable, str(start), str(worker), "--device", "cuda", "--threads", "3"]
    talk = Talk(["env", "-C", str(tmp_path), *command], PYTHONPATH="")
    talks.append(talk)
    hello = talk.ask({"id": 1, "op": "hello", "protocol": 1})
    assert (hello["name"], hello["version"], hello["module"]) == ("cuda", "3", "modelconform_worker")
    assert not {"", str(tmp_path), str(start.parent), str(worker.parent)} & set(hello["path"])


def test_answers_in_this_process() -> None:
    def boom(request: dict[str, Any]) -> dict[str, Any]:
        raise WorkerError("said so", "export", "Refused", "trace")

    assert handle({"op": "x"}, {"x": lambda request: {"a": 1}}) == {"a": 1, "ok": True}
    assert handle({"op": "quit"}, {}) == {"ok": True}
    with pytest.raises(WorkerError) as caught:
        handle({"op": "boom"}, {"boom": boom})
    assert describe(caught.value) == {"type": "Refused", "message": "said so", "details": "trace", "stage": "export"}
    assert describe(KeyError("k"))["type"] == "KeyError"


def test_what_a_library_prints_when_it_is_imported_is_no_answer(python: str, talks: list[Talk], tmp_path: Path) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import os\nprint('a greeting')\nos.write(1, b'and one from C')\n"
        "def handlers(device, threads):\n    return {'hello': lambda request: {'name': device}}\n"
    )
    start = Path(loop.__file__).with_name("start.py")
    talk = Talk([python, str(start), str(worker), "--device", "cpu", "--threads", "1"])
    talks.append(talk)
    assert talk.ask({"id": 1, "op": "hello", "protocol": 1}) == {"id": 1, "ok": True, "protocol": 1, "name": "cpu"}


def test_an_exception_names_the_line_of_its_author_not_of_libraries(tmp_path: Path) -> None:
    """A worker's author has a stack through us and the library that he calls; his own line is in the middle."""
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads("{")
    assert re.fullmatch(
        r"  at tests/workers/test_loop\.py:\d+, in test_an_exception_names_\w+: json\.loads\(\"{\"\)",
        loop.places_of(caught.value),
    )
    with pytest.raises(WorkerError) as ours:
        handle({"op": "nothing"}, {})
    assert loop.explain(ours.value).splitlines()[1].startswith("  at tests/workers/test_loop.py:")
    assert loop.places_of(ValueError("never raised")) == ""


@pytest.mark.parametrize(
    ("stack", "place"),
    [
        (("torch/jit/_trace.py", "nets/model.py", "einops.py"), "  at einops.py:1, in call"),
        (("torch/jit/_trace.py", "nets/model.py", "torch/nn/functional.py"), "  at nets/model.py:1, in call"),
        (
            ("torch/nn.py", "/case.py", "nets/model.py"),
            "  at nets/model.py:1, in call\n  at /case.py:1, in call",
        ),
        (("torch/jit/_trace.py", "nets/model.py", "/case.py", "torch/nn/modules.py"), "  at /case.py:1, in call"),
        (("torch/onnx/utils.py", "onnxscript/values.py"), ""),
        (("converter/main.py",), ""),
    ],
)
def test_without_a_line_of_its_author_it_is_that_of_a_package_which_pytorch_called(
    stack: tuple[str, ...], place: str
) -> None:
    functions: dict[str, Any] = {"": "".join}
    for outer, inner in zip(reversed(stack), ["", *reversed(stack)], strict=False):
        scope = {"inner": functions[inner]}
        exec(compile("def call(value): inner(value)", str(Path("/lib/site-packages", outer)), "exec"), scope)
        functions[outer] = scope["call"]
    with pytest.raises(TypeError) as caught:
        functions[stack[0]](0)
    assert caught.value.__traceback__ is not None
    # Without this file's line, which would be its author's.
    assert loop.places_of(caught.value.with_traceback(caught.value.__traceback__.tb_next)) == place


def test_the_line_is_told_where_an_exporter_has_wrapped_the_error() -> None:
    def forward() -> None:
        raise ValueError("too long")

    def export() -> None:
        try:
            forward()
        except ValueError as error:
            raise RuntimeError("step 1 of 3\nNext steps: …") from error

    with pytest.raises(RuntimeError) as caught:
        export()
    first, cause, place, rest = loop.explain(caught.value).splitlines()
    assert (first, cause, rest) == ("step 1 of 3", "caused by ValueError: too long", "Next steps: …")
    # Where it was raised, not where it was wrapped.
    assert place.endswith(', in forward: raise ValueError("too long")')


def test_a_message_that_begins_with_an_empty_line_is_told_by_its_first_words() -> None:
    assert describe(RuntimeError("\nUnknown builtin op: mine::shrink.\nHere:\n"))["message"].startswith(
        "Unknown builtin op: mine::shrink.\n"
    )
    assert describe(RuntimeError("\n"))["message"] == ""
