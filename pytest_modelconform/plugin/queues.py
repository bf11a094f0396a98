"""Units by length, the longest first, of which some step aside for a while: what `plan.py` chooses from.

Whatever is asked takes the logarithm of the number of units, so that 100,000 cells on 1,000 processes are no different
from a hundred on two. Heaps forget nothing: what has left its place is passed over when it comes to the top.
"""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

_serials = itertools.count()


@dataclass(eq=False)
class Unit:
    """Cells that stay together. items: those that no process has been told of. seconds: of all of them, estimated.

    needs: what has to be built or installed before they can run. is_left: whether no process has begun it.
    """

    case: str
    items: list[str]
    seconds: float
    needs: Collection[str]
    is_left: bool = True
    # What is as long as another comes in the order of collection.
    order: tuple[float, int] = field(init=False)

    def __post_init__(self) -> None:
        self.order = -self.seconds, next(_serials)


class Heap:
    """Units, the longest on top. holds: whether one is still in its place."""

    def __init__(self, holds: Callable[[Unit], bool]) -> None:
        self._holds = holds
        self._entries: list[tuple[tuple[float, int], Unit]] = []

    def push(self, unit: Unit) -> None:
        """One more."""
        heapq.heappush(self._entries, (unit.order, unit))

    def top(self) -> Unit | None:
        """The longest, which stays."""
        while self._entries and not self._holds(self._entries[0][1]):
            heapq.heappop(self._entries)
        return self._entries[0][1] if self._entries else None


class Queue:
    """Units that have what they need, or that lack something. Those of a case that a process has just begun step aside.

    is_begun: whether a process other than the one that asks has begun a unit's case, so that it would wait for it.
    """

    def __init__(self) -> None:
        self._units: set[Unit] = set()
        self._aside: defaultdict[str, list[Unit]] = defaultdict(list)
        self._is_aside: set[Unit] = set()
        self._ready = Heap(lambda unit: unit in self._units and unit not in self._is_aside)
        self._others = Heap(lambda unit: unit in self._is_aside)

    def push(self, unit: Unit) -> None:
        """One more."""
        self._units.add(unit)
        self._ready.push(unit)

    def remove(self, unit: Unit) -> None:
        """It has been begun, or belongs elsewhere. Nothing happens to one that isn't here."""
        self._units.discard(unit)
        if unit in self._is_aside:
            self._is_aside.remove(unit)
            self._aside[unit.case].remove(unit)

    def release(self, case: str) -> None:
        """Nobody would wait for a case any more."""
        for unit in self._aside.pop(case, ()):
            self._is_aside.remove(unit)
            self._ready.push(unit)

    def best(self, own: Iterable[str], is_begun: Callable[[Unit], bool]) -> Unit | None:
        """The longest that its process would not have to wait for. own: the cases that this one has begun itself."""
        while (found := self._ready.top()) is not None and is_begun(found):
            self._is_aside.add(found)
            self._aside[found.case].append(found)
            self._others.push(found)
        mine = [unit for case in own for unit in self._aside.get(case, ())]
        return min([*mine, *([found] if found else [])], key=lambda unit: unit.order, default=None)

    def aside(self) -> Unit | None:
        """The longest of those that have stepped aside."""
        return self._others.top()
