"""Groups go to nodes as Ray's tasks, and what comes back to whoever listens; until all have ended, or been given up."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .groups import Demand, Group, Groups
from .keeper import run_group
from .library import ray
from .messages import Absent, Begun, Died, Done, Ended, Lease, Told
from .nodes import Node, Nodes

# Seconds that a run waits where no node takes cells: one may be on its way.
PATIENCE = 60.0
# Seconds between looks at what else there is to do.
_WAIT = 0.5
_ANYTHING = Demand(float("inf"), float("inf"), 2**62)


class Listener(Protocol):
    """What is told of cells, each by its node id. `ended` and `given_up` come once a cell, and one of them only."""

    def begun(self, item: str, node: Node) -> None:
        """A cell runs; it may be lost yet."""

    def ended(self, item: str, reports: Sequence[Mapping[str, Any]], node: Node) -> None:
        """A cell has ended."""

    def told(self, text: str, node: Node) -> None:
        """A node says what it is at."""

    def lost(self, item: str, node: Node, why: str) -> None:
        """A node has lost a cell, which runs again."""

    def given_up(self, item: str, why: str) -> None:
        """A cell is not run any more."""


@dataclass(eq=False)
class _Running:
    group: Group
    node: Node
    stream: Any
    since: float = field(default_factory=time.monotonic)


class Dispatch:
    """The tasks of a run. patience: seconds to wait for a node."""

    def __init__(self, nodes: Nodes, groups: Groups, listener: Listener, patience: float = PATIENCE) -> None:
        self._nodes = nodes
        self._groups = groups
        self._listener = listener
        self._patience = patience
        self._running: list[_Running] = []
        self._task: Any = None
        # Since when no node takes cells.
        self._alone: float | None = None

    def run(self) -> None:
        """Run all groups. Whatever the listener raises ends it."""
        while self._groups or self._running:
            for node in self._nodes.look():
                self._gone(node)
            self._start_some()
            if not self._running and self._is_hopeless():
                return
            self._hear()

    def stop(self) -> None:
        """End what runs."""
        for one in self._running:
            _cancel(one)
        self._running.clear()

    # -- what begins -----------------------------------------------------------------------------------------------

    def _start_some(self) -> None:
        ready = self._nodes.ready
        processors = sum(node.all.cpus for node in ready)
        for node in ready:
            while group := self._next(node, ready, processors):
                self._start(group, node)

    def _next(self, node: Node, ready: Sequence[Node], processors: float) -> Group | None:
        # What would fit nowhere takes a whole node.
        idle = not any(one.node is node for one in self._running)
        room = node.room
        if group := self._groups.next(node.id, room, processors, others=len(ready) > 1):
            return group
        if idle and self._groups and not self._running:
            # Whatever is left asks for more than any node has, or was lost by each: it runs here, alone.
            return self._groups.next(node.id, _ANYTHING, processors)
        return None

    def _start(self, group: Group, node: Node) -> None:
        assert node.hello is not None
        group.demand = group.demand.within(node.room)
        # Those that have begun the case first; any other may have entries of an earlier run.
        known = [*self._groups.peers(group.case), *(other.id for other in self._nodes.all)]
        peers = self._nodes.actors(peer for peer in dict.fromkeys(known) if peer != node.id)
        demand = group.demand
        strategy = ray().util.scheduling_strategies.NodeAffinitySchedulingStrategy(node.id, soft=False)
        if self._task is None:
            self._task = ray().remote(run_group)
        stream = self._task.options(
            num_returns="streaming",
            num_cpus=demand.cpus,
            num_gpus=demand.gpus,
            memory=demand.memory or None,
            # What has been told can't be untold: who begins it again is decided here.
            max_retries=0,
            scheduling_strategy=strategy,
            name=group.items[0],
        ).remote(node.hello.address, node.hello.key, Lease(group.case, tuple(group.items), peers), demand.gpus > 0)
        node.room = node.room - demand
        self._running.append(_Running(group, node, stream))

    def _is_hopeless(self) -> bool:
        """Whether nothing runs, and nothing will; then all that is left is given up."""
        if self._nodes.ready or self._nodes.beginning or not self._groups:
            self._alone = None
            return False
        self._alone = self._alone or time.monotonic()
        if time.monotonic() - self._alone < self._patience:
            return False
        reasons = [f"{node.name} {node.state.value}: {node.why}" for node in self._nodes.all if node.why]
        why = f"not run: no node takes cells ({'; '.join(reasons) or 'the cluster has none'})"
        for item in self._groups.cells:
            self._listener.given_up(item, why)
        return True

    # -- what comes back -------------------------------------------------------------------------------------------

    def _hear(self) -> None:
        if not self._running:
            time.sleep(_WAIT)
            return
        by_stream = {id(one.stream): one for one in self._running}
        streams = [one.stream for one in self._running]
        ready, _ = ray().wait(streams, num_returns=1, timeout=_WAIT)
        # What is ready by now, of any: one at a time would leave long queues behind.
        more, _ = ray().wait(streams, num_returns=len(streams), timeout=0) if ready else ([], [])
        for stream in more or ready:
            one = by_stream[id(stream)]
            if one in self._running:
                self._take(one)

    def _take(self, one: _Running) -> None:
        try:
            message = ray().get(next(one.stream))
        except StopIteration:
            self._lose(one, "the task ended early", is_of_keeper=True)
            return
        except Exception as error:
            self._lose(one, _words(error), is_of_keeper=True)
            return
        group, node = one.group, one.node
        if isinstance(message, Begun):
            group.begun = message.item
            self._listener.begun(message.item, node)
        elif isinstance(message, Told):
            self._listener.told(message.text, node)
        elif isinstance(message, Done) and message.item in group.items:
            group.items.remove(message.item)
            node.losses = 0
            node.cells += 1
            self._listener.ended(message.item, message.reports, node)
        elif isinstance(message, Absent) and message.item in group.items:
            group.items.remove(message.item)
            self._listener.given_up(message.item, f"not run: {node.name} does not collect it: {message.why}")
        elif isinstance(message, Died):
            self._lose(one, message.how, is_of_keeper=False)
        elif isinstance(message, Ended):
            if group.items:
                self._lose(one, "it was not run", is_of_keeper=False)
            else:
                self._end(one)

    def _end(self, one: _Running) -> None:
        self._running.remove(one)
        demand = one.group.demand
        one.node.room = one.node.room - type(demand)(-demand.cpus, -demand.gpus, -demand.memory)

    def _lose(self, one: _Running, why: str, is_of_keeper: bool, is_gone: bool = False) -> None:
        self._end(one)
        if is_gone:
            # Any other task has said its last word. Ray would end its process by force, where the next one may run.
            _cancel(one)
        # A cell that ends its process is no fault of the node's.
        if not is_gone and (is_of_keeper or not one.group.begun):
            # Ray may tell of a node's end by its tasks before it tells of the node's.
            self._nodes.lost_group(one.node, why, is_of_keeper)
        lost = self._groups.lost(one.group, one.node.id)
        if lost.is_over:
            said = f"not run: it was lost {lost.times} times, the last time by {one.node.name}: {why}"
            self._listener.given_up(lost.item, said)
        elif lost.item:
            self._listener.lost(lost.item, one.node, why)

    def _gone(self, node: Node) -> None:
        self._groups.forget(node.id)
        for one in [one for one in self._running if one.node is node]:
            self._lose(one, node.why, is_of_keeper=False, is_gone=True)


def _cancel(one: _Running) -> None:
    """End a task, whatever it is at."""
    with contextlib.suppress(Exception):
        ray().cancel(one.stream, force=True)


def _words(error: Exception) -> str:
    text = str(getattr(error, "cause", None) or error).strip() or type(error).__name__
    return text.splitlines()[0]
