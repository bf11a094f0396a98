"""Which cells a process of the session runs next. Knows nothing of xdist: `scheduler.py` and `benchmarks/schedule.py` ask.

Units are what `scope_of` puts together: whoever exported an artifact has it in its page cache. A process stays with a
case, whose model its case host has built, for as long as that costs the run nothing: as soon as the longest unit that
is left would decide when the run ends, that one is next.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field

from ..terms.case import DEFAULTS
from ..terms.cell import GRADIENTS, RESUME, TRAINING

# A process must know the next cell before it runs one; what it is told beyond that hides the way of the message.
_TOLD, _TOLD_OF_UNIT = 2, 3
# Of the time that is left for all, what the longest unit may take while processes stay with their cases.
_SLACK = 0.5


@dataclass
class Unit:
    """Cells that stay together. items: those that no process has been told of. seconds: of all of them, estimated.

    needs: what has to be built or installed before any of them can run. owner: the process that runs them.
    """

    case: str
    items: list[str]
    seconds: float
    needs: Collection[str] = ()
    owner: Hashable | None = None


@dataclass
class _Process:
    told: list[str] = field(default_factory=list)
    unit: Unit | None = None


class Plan:
    """The cells of a run, and who runs what.

    items: node ids, in the order of collection. seconds: the estimate of a unit, by its scope and its items. needs: of
    an item, what it can't run without and that isn't there yet; see `made`.
    """

    def __init__(
        self,
        items: Iterable[str],
        seconds: Callable[[str, list[str]], float],
        needs: Mapping[str, Collection[str]],
    ) -> None:
        scopes: dict[str, list[str]] = {}
        for item in items:
            scopes.setdefault(scope_of(item), []).append(item)
        units = [_unit(scope, found, seconds(scope, found), needs) for scope, found in scopes.items()]
        # The longest first. A sort is stable: what is as long as another stays in the order of collection.
        self._left = sorted(units, key=lambda unit: -unit.seconds)
        self._seconds_left = sum(unit.seconds for unit in units)
        self._lacking = {need for unit in units for need in unit.needs}
        self._processes: dict[Hashable, _Process] = {}
        # By case, the processes that have begun it; and the cases that something has come of.
        self._at: dict[str, set[Hashable]] = {}
        self._known: set[str] = set()

    # -- what has happened -----------------------------------------------------------------------------------------

    def join(self, process: Hashable) -> None:
        """A process is there to run cells."""
        self._processes.setdefault(process, _Process())

    def made(self, need: str) -> None:
        """What cells need is there, or can't be made, which they will say."""
        self._lacking.discard(need)

    def done(self, process: Hashable, item: str) -> None:
        """A cell has ended."""
        self._processes[process].told.remove(item)
        self._known.add(_case_of(scope_of(item)))

    def leave(self, process: Hashable) -> str | None:
        """A process is gone. What it had is for others, but for the cell that it died in, which is returned."""
        gone = self._processes.pop(process)
        crashed = gone.told[0] if gone.told else None
        again: dict[str, list[str]] = {}
        for item in [*gone.told[1:], *(gone.unit.items if gone.unit is not None else ())]:
            again.setdefault(scope_of(item), []).append(item)
        # First: nobody knows what is to be made anew.
        self._left = [Unit(_case_of(scope), items, 0.0) for scope, items in again.items()] + self._left
        return crashed

    # -- what is next ----------------------------------------------------------------------------------------------

    def told(self, process: Hashable) -> list[str]:
        """What a process has been told to run and has not ended."""
        return self._processes[process].told

    @property
    def processes(self) -> Collection[Hashable]:
        """Those that are there."""
        return self._processes.keys()

    def is_at_end(self, process: Hashable) -> bool:
        """Whether there is nothing more to tell a process."""
        unit = self._processes[process].unit
        return not self._left and (unit is None or not unit.items)

    def next(self, process: Hashable) -> list[str]:
        """What to tell a process now, if anything: see `is_at_end` for whether there will be more."""
        mine, found = self._processes[process], list[str]()
        while len(mine.told) < _TOLD_OF_UNIT and mine.unit is not None and mine.unit.items:
            found.append(mine.unit.items.pop(0))
            mine.told.append(found[-1])
        if len(mine.told) < _TOLD and self._left:
            mine.unit = self._begin(process)
            found += self.next(process)
        return found

    def _begin(self, process: Hashable) -> Unit:
        unit = min(self._left, key=self._preference(process))  # the first of equals: the longest
        self._left.remove(unit)
        self._seconds_left -= unit.seconds
        self._at.setdefault(unit.case, set()).add(process)
        return unit

    def _preference(self, process: Hashable) -> Callable[[Unit], tuple[int, ...]]:
        """The least is next."""
        mine = self._processes[process].unit
        enough = _SLACK * self._seconds_left / max(1, len(self._processes))
        at_ease = not self._left or max(unit.seconds for unit in self._left) <= enough

        def key(unit: Unit) -> tuple[int, ...]:
            waits = bool(self._lacking.intersection(unit.needs))
            stays = at_ease and mine is not None and unit.case == mine.case
            # Whoever begins a case makes its references, which others would wait for.
            busy = unit.case not in self._known and bool(self._at.get(unit.case, set()) - {process})
            return int(waits), int(not stays), int(busy)

        return key


def _unit(scope: str, items: list[str], seconds: float, needs: Mapping[str, Collection[str]]) -> Unit:
    return Unit(_case_of(scope), items, seconds, {need for item in items for need in needs.get(item, ())})


def scope_of(node_id: str) -> str:
    """The unit of a node id: case, format and dtype; any other test is a unit of its own."""
    head, bracket, rest = node_id.partition("[")
    if not bracket or "::" not in head:
        return node_id
    first, *others = rest.rstrip("]").split("-")
    # What trains has references and artifacts in common that nothing else uses.
    trains = [TRAINING] if set(others) & {GRADIENTS, TRAINING, RESUME} else []
    return f"{head}[{'-'.join([first, *(word for word in others if word in DEFAULTS), *trains])}"


def _case_of(scope: str) -> str:
    """Of a unit's name, what a case host builds: case, dtype and task."""
    head, _, rest = scope.partition("[")
    return "-".join([head, *rest.split("-")[1:]])
