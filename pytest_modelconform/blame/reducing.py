"""Delta debugging: the fewest of some things that still fail. Pure; what fails is asked by a function.

Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", IEEE TSE 28(2), 2002; of their ddmin the
steps that leave something out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

# How far beside the middle another cut is tried where one can't be.
_BESIDE = 3

# True: it fails alike. False: it doesn't. None: it can't be tried, so that nothing follows.
Fails = Callable[[Sequence[T]], "bool | None"]


def shortest(items: Sequence[T], fails: Fails[T]) -> int:
    """How many of the first items fail, as few as possible, given that all of them do: by halves.

    Right if more never fails less. What can't be tried is taken for what doesn't fail, so that the answer fails in any
    case; 0 where even nothing fails is not asked for: the answer is at least 1.
    """
    good, bad = 0, len(items)
    while bad - good > 1:
        middle = (good + bad) // 2
        near = sorted(range(good + 1, bad), key=lambda at: abs(at - middle))[: 2 * _BESIDE + 1]
        for at in near:
            found = fails(items[:at])
            if found is not None:
                good, bad = (good, at) if found else (at, bad)
                break
        else:
            good = max(near)
            if good < middle:
                good = middle
    return bad


def fewest(items: Sequence[T], fails: Fails[T], keep: Sequence[T] = ()) -> list[T]:
    """Of items that fail together those that are needed: without any one of them, they don't, or can't be tried.

    keep: items that are not left out. The order stays.
    """
    kept = list(items)
    size = max(1, len(kept) // 2)
    while True:
        left_out = False
        start = 0
        while start < len(kept):
            chunk = [item for item in kept[start : start + size] if item not in keep]
            rest = [item for item in kept if item not in chunk]
            if chunk and rest and fails(rest):
                kept, left_out = rest, True
            else:
                start += size
        if size == 1 and not left_out:
            return kept
        size = max(1, size // 2)
