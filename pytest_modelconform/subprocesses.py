"""Commands that build and install: their output into a log, their end with ours."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def run(command: Sequence[str], environment: Mapping[str, str], output: int, folder: Path | None = None) -> int:
    """Run a command in `folder` with its output into a descriptor; its exit status, negative for a signal.

    In a session of its own, so that Ctrl-C in the terminal reaches this process alone, which then ends the compilers.
    """
    process = subprocess.Popen(
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        cwd=folder,
    )
    try:
        return process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
