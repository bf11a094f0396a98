"""Whether what a step needs of memory is there before it begins: the kernel kills without a word.

Estimates are multiples of a model's or an artifact's bytes, measured with benchmarks/big.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from . import capacity
from .capacity import Memory

# What loads and runs take at the most, in multiples of the artifact's bytes, unless a runtime says less (`memory`).
LOAD = 2.3
# What references take beside the model, in multiples of its bytes: of one that is copied, and of one whose copies share
# its weights (workers/host/large.py).
COPIED, SHARED = 8.5, 1.3
# What variants of a model take beside it: a copy, and half of one more.
DIAGNOSIS = 1.5
# What exporters take beside the model, unless a format says otherwise.
EXPORT = 3.0
# Bytes below which nobody asks: a small model fits, or nothing does.
LEAST = 2**28
# Seconds to wait for others to finish, where it is only them that are in the way.
PATIENCE = 60.0


def lacking(what: str, needed: float, memory: Memory) -> str:
    """Why a step can't begin, and what to do; "" if it can. what: "to load it", say. needed: bytes."""
    if needed < LEAST or needed <= memory.free:
        return ""
    there = f"{_gb(memory.free)} of {_gb(memory.total)} are free"
    remedy = "run it on a machine with more" if needed > memory.total else "end other programs, or run with -n 0"
    return f"{what}, about {_gb(needed)} of memory are needed, and {there}: {remedy}"


def lacking_after_a_while(
    what: str,
    needed: float,
    look: Callable[[], Memory] | None = None,
    patience: float = PATIENCE,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """The same, after a while in which other processes may have finished what they are at."""
    if needed < LEAST:
        return ""
    look = look or capacity.memory
    waited = 0.0
    while (said := lacking(what, needed, memory := look())) and needed <= memory.total and waited < patience:
        sleep(1.0)
        waited += 1.0
    return said


def of_killed(took: int, total: int) -> str:
    """What a message says of a process that SIGKILL has ended. took: bytes that it had at the most, 0 if unknown."""
    if not took:
        return "memory may have run out"
    likely = "memory has probably run out" if 2 * took > total else "memory may have run out"
    return f"{likely}: it had taken {_gb(took)}, the machine has {_gb(total)}"


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB"
