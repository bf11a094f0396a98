"""The processes of a run, found by a mark in their environment, and what each of them is."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MARK = "MODELCONFORM_MISHAP"
CONTROLLER = "controller"
_COMPILERS = {"cc1plus", "g++", "gcc", "c++", "cc", "as", "ld", "collect2", "ninja", "cmake", "clang", "clang++"}


@dataclass(frozen=True)
class Process:
    """One that runs. role: what it is to the run."""

    pid: int
    role: str
    words: str

    def send(self, number: signal.Signals) -> bool:
        """Send a signal; whether the process was there."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
            return True
        return False


def marked(mark: str, controller: int = 0) -> list[Process]:
    """All that have a mark in their environment and have not ended."""
    return [process for process in _all(f"{MARK}={mark}".encode(), controller) if process.pid != os.getpid()]


def _all(mark: bytes, controller: int) -> Iterator[Process]:
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if mark not in (place / "environ").read_bytes().split(b"\0"):
                continue
            state = (place / "stat").read_text().rpartition(")")[2].split()[0]
            name = (place / "comm").read_text().strip()
            words = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        except OSError:  # it has ended
            continue
        if state not in ("Z", "X"):
            pid = int(place.name)
            yield Process(pid, CONTROLLER if pid == controller else role_of(name, words), words)


def role_of(name: str, words: str) -> str:
    """What a process is, by its name and command line."""
    if "cache/keeper.py" in words or "workers/keep.py" in words:
        return "keeper"
    if "cells import ahead" in words:
        return "ahead"
    if "workers/host/host.py" in words:
        return "host"
    if name in _COMPILERS or words.split(" ")[0].rpartition("/")[2] in _COMPILERS:
        return "compiler"
    if name == "uv" or any(word in words for word in (" -m venv", "-m ensurepip", "pip install", "pip/_vendor")):
        return "installer"
    if "sys.stdin.readline())" in words:
        return "xdist"
    if "cluster.process import" in words:
        return "pytest on a node"
    if name == "raylet":
        return "node"
    if words.startswith("ray::"):
        return "Ray worker"
    if "workers/start.py" in words or "/harness/" in words.split(" ")[0]:
        return "runtime"
    return "other"


def wait_for_end(mark: str, seconds: float) -> list[Process]:
    """Those that are there still after so many seconds."""
    until = time.monotonic() + seconds
    while (left := marked(mark)) and time.monotonic() < until:
        time.sleep(0.1)
    return left
