"""Runs of pytest that have a limit, and whose logs are of use however they end."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from . import machine
from .kept import Step

# Seconds that a run gets to end its workers and write its log's end, once its time is over.
_GRACE = 15.0
# pytest's exit statuses where cells have run: all as expected, or not.
_RAN = (0, 1)
# What the exports and references of one run would spare the next one; harnesses stay.
_MADE = ("artifacts", "cases", "references", "refusals", "threads", "inductor")


def is_installed() -> bool:
    """Whether pytest finds the plugin by itself."""
    return any(point.name == "modelconform" for point in importlib.metadata.entry_points(group="pytest11"))


def forget(cache: Path) -> None:
    """Have the next run make everything but C++ programs anew."""
    for name in _MADE:
        shutil.rmtree(cache / name, ignore_errors=True)


def pytest(cases: Sequence[Path], options: Sequence[str], processes: int, cache: Path, log: Path, limit: float) -> Step:
    """Run cases for at most `limit` seconds. What did not run by then is `not-run` in the log."""
    words = [*_command(), "-n", str(processes), f"--modelconform-log={log}", f"--modelconform-cache={cache}", *options]
    # Nothing of this tree need be installed.
    path = filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    begin = time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.with_suffix(".txt").open("wb") as output, machine.watched() as most:
        process = subprocess.Popen(
            [*words, *map(str, cases)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
        )
        try:
            in_time = _waited(process, limit)
        finally:
            _end(process)
    step = Step(time.monotonic() - begin, in_time, process.returncode, most=most[0])
    if in_time and process.returncode not in _RAN:
        step.complete = False
        step.told["problem"] = _end_of(log.with_suffix(".txt"))
    return step


def _end_of(output: Path) -> str:
    lines = [line for line in output.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"


def _command() -> list[str]:
    ours = [] if is_installed() else ["-p", "pytest_modelconform.plugin"]
    quiet = ("-q", "--tb=no", "-p", "no:cacheprovider", "-o", "addopts=", "-o", "filterwarnings=")
    # Trainings and other dtypes are cells of their own, and there is no time for them.
    what = ("--modelconform", "--modelconform-blame=off", "-m", "task_inference and dtype_float32")
    return [sys.executable, "-m", "pytest", *ours, *quiet, *what]


def _waited(process: subprocess.Popen[bytes], limit: float) -> bool:
    """Whether it ended in time; else it is interrupted, as by Ctrl-C, and may write what it has."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(max(limit - _GRACE, 1.0))
        return True
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left: workers go with the process that started them."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
