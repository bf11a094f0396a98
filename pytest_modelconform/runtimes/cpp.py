"""What runtimes in C++ have in common: the harness of an engine, built on first use, as a worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..building import harness


class Worker(NamedTuple):
    """What a runtime's module has of its engine: see `base.Runtime`."""

    requires: tuple[str, ...]
    unavailable: Callable[[str], str | None]
    command: Callable[[str, int, Path, Callable[[str], None]], list[str]]


def worker(engine: str) -> Worker:
    """REQUIRES, unavailable and command of a runtime that is an engine of `building/harness.py`."""

    def unavailable(device: str) -> str | None:
        return harness.unavailable(engine)

    def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
        program = harness.executable(engine, cache, progress)
        return [str(program), "--worker", "--device", device, "--threads", str(threads)]

    return Worker(harness.ENGINES[engine].requires, unavailable, command)
