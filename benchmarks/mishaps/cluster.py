"""What happens on the nodes of a cluster."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from .drawn import Came, Draw, NotHere, killed, sandbox, wait
from .processes import MARK
from .sandbox import Sandbox

_REPOSITORY = Path(__file__).resolve().parents[2]
_NODES = 3
# Seconds that a run takes longer than on one machine: processes begin on each node.
_BEGIN = 12.0


@contextlib.contextmanager
def _cluster(box: Sandbox) -> Iterator[str]:
    """A Ray cluster for a mishap, whose nodes' processes have its mark, and the head's have not; its address."""
    if importlib.util.find_spec("ray") is None:
        raise NotHere("no Ray: pip install 'ray==2.60.0'")
    # The head is no part of the run.
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "RAY_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.cluster.nodes", str(box.root / "nodes"), "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=_REPOSITORY,
        env=variables,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        try:
            address = process.stdout.readline().strip()
            for _ in range(_NODES):
                process.stdin.write(f"add {MARK}={box.mark} TMPDIR={box.temporary}\n")
                process.stdin.flush()
                process.stdout.readline()
            yield address
        finally:
            process.stdin.close()
            process.wait(120)


def nodes(draw: Draw) -> Came:
    """Kill -9 of any processes on three nodes, the node's own and Ray's workers among them, at one to three moments.

    Each cell has a verdict, and a run without a cluster goes on where that one ended.
    """
    drawn, came = draw.random, Came()
    flavour = drawn.choice(["plain", "programs"])
    whole = draw.seconds[flavour] + _BEGIN
    moments = sorted(drawn.uniform(0.2, 1.0) * whole for _ in range(drawn.randint(1, 3)))
    with sandbox(draw, flavour) as box:
        with _cluster(box) as address, box.running("run", address=address) as run:
            begin = time.monotonic()
            for moment in moments:
                if not wait(run, max(0.0, begin + moment - time.monotonic())):
                    break
                came.done += killed(box, run.pid, drawn, moment)
            with contextlib.suppress(subprocess.TimeoutExpired):
                run.wait(300)
        came.done.insert(0, f"{flavour}, {_NODES} nodes")
        came.verdicts = box.verdicts("run")
        came.faults += box.faults_of_log("run")
        if run.returncode not in (0, 1):
            came.faults.append(f"exit status {run.returncode}: {box.output('run')[-300:]}")
        # Where a node is gone, and before that what would have cleaned up after it, the next run on it does that.
        came.faults += box.running_still()
        came.faults += box.clean("run", [f"--modelconform-resume={box.log('run')}"])
    return came
