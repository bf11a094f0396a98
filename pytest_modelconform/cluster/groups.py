"""Which cells go to a node together, what that takes, and what is run again after a loss. Knows nothing of Ray."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from ..plugin.plan import scope_of

# How often a cell that was lost is run again.
RETRIES = 2
# Of the time that is left for all processors, what a node may take while it stays with its cases.
_SLACK = 0.5


@dataclass(frozen=True)
class Demand:
    """What a group takes of a node. memory: bytes."""

    cpus: float = 1.0
    gpus: float = 0.0
    memory: int = 0

    def fits(self, room: Demand) -> bool:
        """Whether there is room for it."""
        return self.cpus <= room.cpus and self.gpus <= room.gpus and self.memory <= room.memory

    def __sub__(self, other: Demand) -> Demand:
        return Demand(self.cpus - other.cpus, self.gpus - other.gpus, self.memory - other.memory)

    def within(self, most: Demand) -> Demand:
        """The same, but no more than there is: what does not fit says so itself, with figures."""
        return Demand(min(self.cpus, most.cpus), min(self.gpus, most.gpus), min(self.memory, most.memory))


@dataclass(eq=False)
class Group:
    """Cells of a case, format and dtype. items: node ids that have not ended. seconds: estimated, for all of them.

    case: what nodes know. begun: the cell that runs. avoided: nodes that have lost some of it.
    """

    case: str
    items: list[str]
    seconds: float
    demand: Demand
    begun: str = ""
    avoided: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Lost:
    """What a loss comes to. item: the cell that counts as lost, "" for none; times: how often it was.

    is_over: whether it runs no more.
    """

    item: str
    times: int
    is_over: bool


class Groups:
    """All groups of a run: those that wait, and what was lost of those that did not end.

    items: node ids, in the order of collection. seconds: estimates items of a scope. demand: what they take, where
    there is a GPU or not: as by `needs_gpu` of a node id.
    """

    def __init__(
        self,
        items: Iterable[str],
        seconds: Callable[[str, Sequence[str]], float],
        demand: Callable[[str, Sequence[str]], Demand],
        needs_gpu: Callable[[str], bool] = lambda item: False,
    ) -> None:
        parts: defaultdict[tuple[str, bool], list[str]] = defaultdict(list)
        for item in items:
            parts[scope_of(item), needs_gpu(item)].append(item)
        groups = [
            Group(case_of(scope), members, seconds(scope, members), demand(scope, members))
            for (scope, _), members in parts.items()
        ]
        # By case, the longest last; an order of the cases by their longest is kept beside it.
        self._waiting = sorted(groups, key=lambda group: -group.seconds)
        self._seconds_left = sum(group.seconds for group in groups)
        # By case, the nodes that have begun some of it, the first one first.
        self._nodes: defaultdict[str, list[str]] = defaultdict(list)
        self._losses: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def cells(self) -> list[str]:
        """All items that wait."""
        return [item for group in self._waiting for item in group.items]

    def peers(self, case: str) -> Sequence[str]:
        """Nodes that may have what was made for a case, those that began it first at the beginning."""
        return tuple(self._nodes[case])

    def next(self, node: str, room: Demand, processors: float, others: bool = False) -> Group | None:
        """The group that a node begins now, if there is room for one.

        The longest of the cases that it knows, as long as that costs the run nothing; else the longest of those that
        nobody has begun; else the longest. processors: of all nodes. others: whether there are other nodes, to which
        what this one has lost is left.
        """
        fitting = [
            group for group in self._waiting if group.demand.fits(room) and not (others and node in group.avoided)
        ]
        if not fitting:
            return None
        at_ease = self._waiting[0].seconds * processors <= _SLACK * self._seconds_left
        known = [group for group in fitting if node in self._nodes[group.case]] if at_ease else []
        new = (group for group in fitting if not self._nodes[group.case])
        found = known[0] if known else next(new, fitting[0])
        self._waiting.remove(found)
        self._seconds_left -= found.seconds
        if node not in self._nodes[found.case]:
            self._nodes[found.case].append(node)
        return found

    def put_back(self, group: Group) -> None:
        """A group that a node has not begun waits again."""
        self._add(group)

    def forget(self, node: str) -> None:
        """A node is gone, with all that it has made."""
        for nodes in self._nodes.values():
            if node in nodes:
                nodes.remove(node)

    def lost(self, group: Group, node: str) -> Lost:
        """A node has lost a group. The cell that ran counts as lost, and waits by itself, and the others by themselves.

        Where none had begun it is the next one: so that each loss counts, and there are no more than so many.
        """
        if not group.items:
            return Lost("", 0, False)
        hit = group.begun if group.begun in group.items else group.items[0]
        self._losses[hit] += 1
        times = self._losses[hit]
        is_over = times > RETRIES
        share = group.seconds / len(group.items)
        avoided = group.avoided | {node}
        rest = [item for item in group.items if item != hit]
        if rest:
            self._add(replace(group, items=rest, seconds=share * len(rest), begun="", avoided=avoided))
        if not is_over:
            self._add(replace(group, items=[hit], seconds=share, begun="", avoided=avoided))
        return Lost(hit, times, is_over)

    def _add(self, group: Group) -> None:
        place = next(
            (place for place, other in enumerate(self._waiting) if other.seconds < group.seconds), len(self._waiting)
        )
        self._waiting.insert(place, group)
        self._seconds_left += group.seconds


def case_of(scope: str) -> str:
    """Of a unit's name, what references are made for: case, dtype and task."""
    head, _, rest = scope.partition("[")
    return "-".join([head, *itertools.islice(rest.split("-"), 1, None)])
