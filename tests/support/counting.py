"""How work grows, by the calls that it takes: seconds would depend on what else a machine does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

# Times as many cells. With a part that grows with the square the calls would grow more than sevenfold.
TIMES = 4


def calls(function: Callable[[], object]) -> int:
    """How many functions are called, Python's and others."""
    count = 0

    def note(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(before)
    return count


def growth(prepared: Callable[[int], Callable[[], object]], size: int) -> float:
    """By which factor the calls grow with `TIMES` as many. prepared: what is to be counted, of so many."""
    for many in (size, TIMES * size):  # what is made once, and kept
        prepared(many)()
    return calls(prepared(TIMES * size)) / calls(prepared(size))
