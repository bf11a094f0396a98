"""Workers in JavaScript, spoken to by hand, and the environment that they need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_modelconform.cells import pool
from pytest_modelconform.environments import node_tools
from pytest_modelconform.runtimes import node
from pytest_modelconform.runtimes.base import WORKERS
from tests.support import shared
from tests.support.runs import wait_until

ECHO = Path(__file__).parent / "fakes" / "echo.mjs"


def environment() -> Path:
    """The cache with the environment of JavaScript's runtimes in it, installed by whoever comes first."""
    shared.installed(node.ENVIRONMENT)
    return shared.CACHE


def command(file: str, *more: str, threads: int = 1) -> list[str]:
    """The command line of a worker in `workers/node/`."""
    return node.node_worker(file, "cpu", threads, environment(), print, *more)


def echo() -> list[str]:
    """The command line of the worker that returns what it is given; it needs no environment."""
    tools = node_tools.find()
    if isinstance(tools, str):
        pytest.skip(tools)
    return [sys.executable, "-I", str(WORKERS / "become.py"), tools.node, str(ECHO)]


class Worker:
    """A worker's process. Its stderr is in the file `stderr`."""

    def __init__(self, command: list[str], folder: Path, env: Mapping[str, str] | None = None) -> None:
        self.stderr = folder / "stderr"
        # Of its own, so that what it leaves behind is seen. Not below `folder`: its path would be too long for sockets.
        self.temporary = Path(tempfile.mkdtemp(prefix="js-"))
        more = {"MODELCONFORM_PARENT": str(os.getpid()), "TMPDIR": str(self.temporary), **(env or {})}
        with self.stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                command,
                env={**pool.environment(1, shared.CACHE), **more},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
            )
        self.requests = 0
        # By which operation, what its answer said that the worker spent.
        self.spent: list[tuple[str, float]] = []

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """The answer to a request."""
        self.requests += 1
        answer: dict[str, Any] = json.loads(self.send(json.dumps({"id": self.requests, "op": op, **fields}).encode()))
        assert answer["id"] == self.requests
        self.spent.append((op, answer.pop("core_seconds", 0.0)))
        return answer

    def get(self, op: str, **fields: Any) -> dict[str, Any]:
        """The answer to a request that must not fail."""
        answer = self.ask(op, **fields)
        assert answer["ok"], answer["error"]["message"] + "\n" + self.stderr.read_text()
        return answer

    def send(self, line: bytes) -> bytes:
        """The line that is answered to a line."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def end(self) -> None:
        """Kill it and wait until it has left nothing behind."""
        self.process.kill()
        self.process.communicate()
        wait_until(lambda: not any(self.temporary.iterdir()), 20, f"{self.temporary} is not empty")
        self.temporary.rmdir()
