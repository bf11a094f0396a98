"""Ray clusters for tests: programs of their own, since nothing in a pytest process imports Ray."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="pip install ray")


class Cluster:
    """A running one (benchmarks/cluster/nodes.py). folder: where each node has its own, node0 and so on."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self.folder = folder
        self._process = process
        self.address = self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line, "the cluster has ended"
        return line

    def _ask(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        assert self._line() == "done"

    def kill(self, number: int) -> None:
        """Kill a node with all that runs on it."""
        self._ask(f"kill {number}")

    def wait_until_gone(self, number: int) -> None:
        """Wait until Ray has noticed that a node was killed: until then it gives it work."""
        self._ask(f"gone {number}")

    def add(self, **variables: str) -> None:
        """Add a node, with these in its environment."""
        self._ask(" ".join(["add", *(f"{name}={value}" for name, value in variables.items())]))

    def node_of(self, cache: str) -> int:
        """Which node has a cache folder."""
        return int(Path(cache).parent.name.removeprefix("node"))

    def processes(self) -> list[str]:
        """Command lines of what runs tests on its nodes: all that a pytest process there has begun, and itself."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                environment = (entry / "environ").read_bytes()
                if str(self.folder).encode() in environment and b"PYTEST_XDIST_WORKER=gw" in environment:
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue
        return found

    def left(self) -> list[Path]:
        """What runs have left in the nodes' temporary folders."""
        return [path for path in self.folder.glob("node*/tmp/*") if "modelconform" in path.name]


@contextmanager
def cluster(folder: Path, nodes: int) -> Iterator[Cluster]:
    """A cluster of so many nodes that take cells, with one processor each."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.cluster.nodes", str(folder), str(nodes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "RAY_"))},
    )
    with process:
        try:
            yield Cluster(folder, process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(120)
