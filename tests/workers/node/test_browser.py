"""The browser of a worker: which one it is, what it may reach, and that it never outlives its worker."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pytest_modelconform.environments import node_tools
from pytest_modelconform.runtimes import node
from tests.runtimes.test_node import WEB, call, product
from tests.support import javascript, runs

pytestmark = pytest.mark.installs

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def descendants(worker: javascript.Worker) -> dict[int, str]:
    """Command lines of all processes that a worker has started, and of those that these have."""
    children: dict[int, list[int]] = {}
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdigit():
                parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
                children.setdefault(int(parent), []).append(int(process.name))
    found: dict[int, str] = {}
    todo = children.get(worker.process.pid, [])
    for pid in todo:
        todo += children.get(pid, [])
        with contextlib.suppress(OSError):
            found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[javascript.Worker]:
    worker = javascript.Worker(javascript.command(*WEB, threads=2), tmp_path)
    try:
        # Two threads in WebAssembly need an isolated page: without one, this is refused.
        worker.get("hello", protocol=1)
        yield worker
    finally:
        worker.end()


def leaves_nothing(worker: javascript.Worker, processes: Iterable[int]) -> None:
    """Wait until no process of a worker and none of its files are left."""
    runs.wait_until(lambda: not any(map(runs.is_alive, processes)), 20, "they live")
    runs.wait_until(lambda: not any(worker.temporary.iterdir()), 20, "its profile is there")


def page_of(processes: dict[int, str]) -> int:
    """The process of the page: that of the address, where there are spare ones."""
    [page] = [pid for pid, line in processes.items() if "--type=renderer" in line and threads_of(pid)]
    return page


def threads_of(process: int) -> int:
    """How many threads of WebAssembly, which are workers of the page, a process has."""
    names = [(task / "comm").read_text() for task in Path(f"/proc/{process}/task").iterdir()]
    return sum(name.startswith("DedicatedWorker") for name in names)


@linux
def test_it_ends_with_quit_and_leaves_nothing(worker: javascript.Worker) -> None:
    [profile] = worker.temporary.iterdir()
    assert profile.stat().st_mode & 0o777 == 0o700
    processes = descendants(worker)
    assert any("--type=renderer" in line for line in processes.values())
    worker.get("quit")
    assert worker.process.wait(20) == 0
    # At once: quit waits for it.
    assert not any(worker.temporary.iterdir())
    leaves_nothing(worker, processes)


@linux
@pytest.mark.parametrize("whole_group", [False, True], ids=["worker", "group"])
def test_it_ends_with_a_killed_worker_and_leaves_nothing(worker: javascript.Worker, whole_group: bool) -> None:
    processes = descendants(worker)
    assert len(processes) > 3
    # The second is what a timeout and Ctrl-C do.
    (os.killpg if whole_group else os.kill)(worker.process.pid, signal.SIGKILL)
    leaves_nothing(worker, processes)


@linux
def test_a_page_that_crashes_is_a_crash_of_the_worker(worker: javascript.Worker, tmp_path: Path) -> None:
    worker.get("load", model=product(tmp_path / "model.onnx", np.ones((2, 2), "float32")))
    found, _ = call(worker, tmp_path, {"x": np.ones((2, 2), "float32")}, ["y"])
    assert found["y"].tolist() == [[2.0, 2.0], [2.0, 2.0]]
    processes = descendants(worker)
    page = page_of(processes)
    assert threads_of(page) == 1  # the second one; the first is the page's own
    os.kill(page, signal.SIGKILL)
    assert worker.process.wait(20) == 1
    assert "the page has crashed" in worker.stderr.read_text()
    leaves_nothing(worker, processes)


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="the package has a Chromium for these only"
)
def test_the_packages_chromium_is_taken_where_there_is_no_other(tmp_path: Path) -> None:
    # What the worker needs besides, but no browser.
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sh", "env"):
        (programs / name).symlink_to(str(shutil.which(name)))
    worker = javascript.Worker(javascript.command(*WEB), tmp_path, {"PATH": str(programs)})
    try:
        version = worker.get("hello", protocol=1)["version"]
        assert version.endswith("(Chromium 153)")
        lines = descendants(worker).values()
        assert any(line.startswith(str(javascript.environment())) for line in lines)
        worker.get("load", model=product(tmp_path / "model.onnx", np.eye(3, dtype="float32") * 2))
        found, _ = call(worker, tmp_path, {"x": np.ones((1, 3), "float32")}, ["y"])
        assert found["y"].tolist() == [[2.0, 2.0, 2.0]]
    finally:
        worker.end()


def test_what_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variable = node.CHROMIUM
    reason = f"{variable} names /nowhere/chromium, which isn't a program"
    worker = javascript.Worker(javascript.command(*WEB), tmp_path, {variable: "/nowhere/chromium"})
    try:
        error = worker.ask("hello", protocol=1)["error"]
        assert (error["type"], error["message"]) == ("Unavailable", reason)
    finally:
        worker.end()
    assert node.browser_unavailable("cpu") is None
    monkeypatch.setenv(variable, "/nowhere/chromium")
    assert node.browser_unavailable("cpu") == reason
    monkeypatch.delenv(variable)
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    tools = node_tools.find()
    assert isinstance(tools, node_tools.NodeTools)
    monkeypatch.setenv(node_tools.VARIABLE, tools.node)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert node.browser_unavailable("cpu") == f"needs a Chromium: install chromium, or let {variable} name one"


def test_a_browser_that_does_not_start_says_why(tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text("#!/bin/sh\necho no libraries here >&2\nexit 127\n")
    browser.chmod(0o755)
    worker = javascript.Worker(javascript.command(*WEB), tmp_path, {node.CHROMIUM: str(browser)})
    try:
        error = worker.ask("hello", protocol=1)["error"]
        assert error["type"] == ""
        assert error["message"] == f"{browser} does not start as a headless browser:\nno libraries here"
    finally:
        worker.end()


SERVER = """
import {{ Server }} from "{file}";
const server = new Server({{ worker: "{folder}" }});
Object.assign(server.readable, {{ model: "{folder}/../model" }});
Object.assign(server.writable, {{ outputs: "{folder}/../outputs" }});
console.log(await server.start());
process.stdin.on("end", () => process.exit()).resume();
"""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Where a server listens that may give `folder/` and `model`, and take `outputs`."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "page.html").write_text("<p>")
    (tmp_path / "folder" / "secret.txt").write_text("secret")
    (tmp_path / "secret.html").write_text("secret")
    (tmp_path / "model").write_bytes(bytes(range(256)) * 1000)
    tools = node_tools.find()
    assert isinstance(tools, node_tools.NodeTools)
    script = SERVER.format(file=node.FOLDER / "server.mjs", folder=tmp_path / "folder")
    command = [tools.node, "--input-type=module", "--eval", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.kill()


def get(address: str, method: str = "GET", data: bytes | None = None) -> tuple[int, bytes]:
    request = urllib.request.Request(address, data, method=method)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_a_page_gets_what_is_meant_for_it_and_nothing_else(address: str, tmp_path: Path) -> None:
    host, _, token = address.rstrip("/").rpartition("/")
    assert host.startswith("http://127.0.0.1:")
    assert len(token) == 32
    assert get(f"{address}worker/page.html") == (200, b"<p>")
    assert get(f"{address}model") == (200, (tmp_path / "model").read_bytes())
    body = b"x" * 3_000_000
    assert get(f"{address}outputs", "PUT", body) == (204, b"")
    assert (tmp_path / "outputs").read_bytes() == body
    assert (tmp_path / "outputs").stat().st_mode & 0o777 == 0o600
    for wrong in (
        f"{host}/", f"{host}/model", f"{host}/{'0' * 32}/model", f"{address}outputs", f"{address}worker/secret.txt",
        f"{address}worker/none.html", f"{address}worker/../secret.html", f"{address}worker/..%2fsecret.html",
        f"{address}worker/", f"{address}toString", f"{address}toString/page.html", f"{address}__proto__/page.html",
    ):  # fmt: skip
        assert get(wrong) == (404, b""), wrong
    for wrong in ("model", "other", "worker/page.html", "../outputs"):
        assert get(f"{address}{wrong}", "PUT", b"x") == (404, b""), wrong
