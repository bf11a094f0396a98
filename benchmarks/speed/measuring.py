"""Commands as processes of their own, and what they take."""

from __future__ import annotations

import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
_TREE = Path(__file__).with_name("tree.py")
_LINES = 8


class Failed(Exception):
    """A command did not do what was to be measured. The message has the end of what it printed."""


@dataclass(frozen=True)
class Measured:
    """What a command and all that it started took, in seconds; and its output, stderr included."""

    wall: float
    core_seconds: float
    output: str


def measure(
    command: Sequence[str], cwd: Path = REPOSITORY, env: Mapping[str, str] | None = None, statuses: Sequence[int] = (0,)
) -> Measured:
    """Run a command. Raises Failed for a status that is not among `statuses`."""
    with tempfile.TemporaryDirectory(prefix="speed-") as folder:
        result = Path(folder) / "result.json"
        with (Path(folder) / "output").open("w+b") as output:
            words = [sys.executable, str(_TREE), str(result), *command]
            variables = {**os.environ, "PYTHONPATH": str(REPOSITORY), **(env or {})}
            subprocess.run(words, cwd=cwd, env=variables, stdout=output, stderr=subprocess.STDOUT, check=False)
            output.seek(0)
            text = output.read().decode(errors="replace")
        found: dict[str, Any] = json.loads(result.read_text()) if result.exists() else {"status": None}
    if found["status"] not in statuses:
        raise Failed(failure(command, f"ended with status {found['status']}", text))
    return Measured(found["wall"], found["core_seconds"], text)


def failure(command: Sequence[str], how: str, output: str) -> str:
    """What went wrong with a command, and the end of what it printed."""
    end = [f"  | {line}" for line in output.splitlines() if line.strip()][-_LINES:]
    return "\n".join([f"{shlex.join(command)} {how}:", *end])


def total(parts: Sequence[Measured]) -> Measured:
    """Several commands as one."""
    output = "".join(part.output for part in parts)
    return Measured(sum(part.wall for part in parts), sum(part.core_seconds for part in parts), output)


@dataclass(frozen=True)
class Pairs:
    """What two commands took, in turn: the wall and core-seconds of each, a pair at each place."""

    ours: tuple[Measured, ...]
    theirs: tuple[Measured, ...]

    @property
    def ratio(self) -> float:
        """Ours by theirs: the median of the pairs' ratios, since a machine is as busy for one as for the other."""
        return statistics.median(a.wall / b.wall for a, b in zip(self.ours, self.theirs, strict=True))


def in_turn(ours: Callable[[], Measured], theirs: Callable[[], Measured], pairs: int) -> Pairs:
    """Measure two in turn: theirs first in every second pair."""
    found: list[tuple[Measured, Measured]] = []
    for index in range(pairs):
        if index % 2:
            their, our = theirs(), ours()
        else:
            our, their = ours(), theirs()
        found.append((our, their))
    return Pairs(tuple(our for our, _ in found), tuple(their for _, their in found))


def time_of(log: Path) -> dict[str, Any]:
    """What a run's log says that it took: its footer's "time". Empty for a log without."""
    lines = log.read_text().splitlines()
    time: dict[str, Any] = json.loads(lines[-1]).get("time", {}) if lines else {}
    return time


def environment_of(log: Path) -> dict[str, Any]:
    """The header of a run's log: versions, machine, options."""
    environment: dict[str, Any] = json.loads(log.read_text().partition("\n")[0])["environment"]
    return environment


def count_of(log: Path) -> int:
    """How many cells a log has records of."""
    entries = map(json.loads, log.read_text().splitlines())
    return len({entry["id"] for entry in entries if entry["kind"] == "cell"})
