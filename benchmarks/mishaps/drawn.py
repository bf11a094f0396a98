"""What all mishaps have: a number that draws them, a run in a sandbox, and what they came to."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from . import processes
from .processes import CONTROLLER
from .project import FLAVOURS
from .sandbox import Sandbox


class NotHere(Exception):
    """What a mishap needs is missing; the message says what, and what brings it."""


@dataclass
class Came:
    """What a mishap came to. done: what happened, in words. faults: what is wrong. verdicts: of the run."""

    done: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    verdicts: str = ""


@dataclass(frozen=True)
class Draw:
    """What a kind and a number draw. seconds: that a run of a flavour takes here. base: the cache with all programs."""

    kind: str
    number: int
    base: Path
    seconds: dict[str, float]

    @property
    def random(self) -> random.Random:
        """The same for a kind and a number."""
        return random.Random(f"{self.kind} {self.number}")

    @property
    def mark(self) -> str:
        """Of the processes of this mishap."""
        return f"{os.getpid()}-{self.kind}-{self.number}"


@contextlib.contextmanager
def sandbox(draw: Draw, flavour: str, bare: bool = False) -> Iterator[Sandbox]:
    box = Sandbox(draw.base, FLAVOURS[flavour], draw.mark, bare)
    try:
        yield box
    finally:
        box.remove()


def wait(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether a run goes on still after so many seconds."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
        return False
    return True


def killed(box: Sandbox, controller: int, drawn: random.Random, moment: float) -> list[str]:
    """Kill -9 of one process of a run, each role as likely as another; what that was, in words.

    controller: the run's own process, which is spared. moment: seconds since its begin.
    """
    found: dict[str, list[processes.Process]] = {}
    for one in processes.marked(box.mark, controller):
        if one.role != CONTROLLER:
            found.setdefault(one.role, []).append(one)
    if not found:
        return [f"{moment:.1f} s: nobody to kill"]
    victim = drawn.choice(found[drawn.choice(sorted(found))])
    return [f"{moment:.1f} s: {victim.role}"] if victim.send(signal.SIGKILL) else []
