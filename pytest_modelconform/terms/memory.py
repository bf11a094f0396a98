"""Whether what a step needs of memory is there before it begins: the kernel kills without a word.

Estimates are multiples of a model's or an artifact's bytes, measured with benchmarks/big.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from . import capacity
from .capacity import Memory
from .outcome import Outcome, Verdict

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
# What a message ends with where only others are in the way; and what is said where the kernel has ended a process.
OTHERS = "end other programs, or run with -n 0"
RAN_OUT = "memory ran out, and the kernel ended it"
# Seconds to wait for others to finish, where it is only them that are in the way.
PATIENCE = 60.0


def lacking(what: str, needed: float, memory: Memory) -> str:
    """Why a step can't begin, and what to do; "" if it can. what: "to load it", say. needed: bytes."""
    if needed < LEAST or needed <= memory.free:
        return ""
    there = f"{gb(memory.free)} of {gb(memory.total)} are free"
    remedy = "run it on a machine with more" if needed > memory.total else OTHERS
    return f"{what}, about {gb(needed)} of memory are needed, and {there}: {remedy}"


def never(recorded: int, total: int) -> str:
    """Why a cell isn't begun, and what to do. recorded: bytes that it took when it ran before."""
    return (
        f"it took {gb(recorded)} of memory when it ran before, and there are {gb(total)}: run it on a machine with "
        "more, or try it all the same by --modelconform-memory=off"
    )


def was_too_little(outcome: Outcome) -> bool:
    """Whether a cell had too little memory, and may have enough where nothing else runs."""
    if outcome.verdict is Verdict.UNAVAILABLE:
        return outcome.message.endswith(OTHERS)
    return outcome.is_exhausted and RAN_OUT in outcome.message


def lacking_after_a_while(
    what: str,
    needed: float,
    look: Callable[[], Memory] | None = None,
    patience: float = PATIENCE,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """The same, after a while in which other processes may have finished what they are at.

    look: what memory there is; `cache/reservations.py` has one that heeds what others have reserved.
    """
    if needed < LEAST:
        return ""
    look = look or capacity.memory
    waited = 0.0
    while (said := lacking(what, needed, memory := look())) and needed <= memory.total and waited < patience:
        sleep(1.0)
        waited += 1.0
    return said


def of_killed(took: int, total: int, is_certain: bool = False) -> str:
    """What a message says of a process that SIGKILL has ended.

    took: bytes that it had at the most, 0 if unknown. is_certain: whether the kernel counts one more such end; it has
    then taken the memory away before anybody could look.
    """
    if is_certain:
        return f"{RAN_OUT}: it had taken {gb(took)} or more, the machine has {gb(total)}"
    if not took:
        return "memory may have run out"
    likely = "memory has probably run out" if 2 * took > total else "memory may have run out"
    return f"{likely}: it had taken {gb(took)}, the machine has {gb(total)}"


def gb(size: float) -> str:
    """A size in words."""
    return f"{size / 1e9:.1f} GB"
