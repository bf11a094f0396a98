"""How work grows, by the steps that it takes: seconds would depend on what else a machine does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

# Times as many cells. With a part that grows with the square the steps grow more, up to sixteenfold.
TIMES = 4
# What is linear, or sorts, stays below.
MOST = 1.06 * TIMES


def steps(function: Callable[[], object]) -> int:
    """How many lines are run, each turn of a loop counted, and functions called, Python's and others."""
    count = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    def note(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.gettrace(), sys.getprofile()
    sys.settrace(trace)
    sys.setprofile(note)
    try:
        function()
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
    return count


def growth(prepared: Callable[[int], Callable[[], object]], size: int) -> float:
    """By which factor the steps grow with `TIMES` as many. prepared: what is to be counted, of so many."""
    for many in (size, TIMES * size):  # what is made once, and kept
        prepared(many)()
    return steps(prepared(TIMES * size)) / steps(prepared(size))
