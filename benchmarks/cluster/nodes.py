"""A Ray cluster of several node processes on this machine, as a program: it does what its stdin says, a line each.

    python -m benchmarks.cluster.nodes FOLDER NODES

It prints the address of the head, which takes no cells, and then a line for each command. `kill N` kills the N-th node,
from 0, as a machine that loses its power would be gone; `gone N` waits until Ray has noticed; `add NAME=VALUE …` adds a
node with further variables. Each node has a cache and a temporary folder of its own below FOLDER. All of it ends with
stdin.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

# The session's sockets are in its folder, and such a name has 107 bytes.
TEMPORARY = f"/tmp/ray-{os.getpid()}"
_MEMORY = 8 * 2**30
_STORE = 80 * 2**20


def main(folder: Path, count: int) -> None:
    Path(TEMPORARY).mkdir(exist_ok=True)
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": TEMPORARY}
    # Ray makes its workers nice, and what they run would starve beside another load.
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 (that is its name)
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    head = {"num_cpus": 0, "object_store_memory": _STORE, "include_dashboard": False}
    cluster.add_node(**head)
    nodes: list[Any] = []

    def add(*words: str) -> None:
        own = folder / f"node{len(nodes)}"
        (own / "tmp").mkdir(parents=True)
        variables = {"MODELCONFORM_CACHE": str(own / "cache"), "TMPDIR": str(own / "tmp")}
        variables |= dict(word.split("=", 1) for word in words)
        taken = {"num_cpus": 1, "memory": _MEMORY, "object_store_memory": _STORE, "env_vars": variables}
        nodes.append(cluster.add_node(**taken))

    for _ in range(count):
        add()
    print(cluster.address, flush=True)
    for line in sys.stdin:
        command, *words = line.split()
        if command == "kill":
            _kill(nodes[int(words[0])])
        elif command == "gone":
            _wait_until_gone(cluster, nodes[int(words[0])].node_id)
        elif command == "add":
            add(*words)
        print("done", flush=True)
    cluster.shutdown()
    shutil.rmtree(TEMPORARY, ignore_errors=True)


def _kill(node: Any) -> None:
    """Kill the node's own process and all that it has begun, at once."""
    raylet = next(iter(node.all_processes["raylet"])).process.pid
    for process in [raylet, *_below(raylet)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _wait_until_gone(cluster: Any, node: str) -> None:
    """Wait until Ray's head no longer counts on a node. Raises TimeoutError after five minutes."""
    until = time.monotonic() + 300
    while any(known["NodeID"] == node and known["Alive"] for known in cluster.global_state.node_table()):
        if time.monotonic() > until:
            raise TimeoutError(f"Ray still counts on node {node}")
        time.sleep(0.5)


def _below(parent: int) -> list[int]:
    """The processes below one, by /proc."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found, new = [], [parent]
    while new:
        new = [process for process, its in parents.items() if its in new]
        found += new
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
