"""The nodes of a cluster, as a run sees them: which there are, which may take cells and which not, and why."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from .environment import Facts, differences
from .groups import Demand
from .keeper import Hello, Keeper
from .library import ray
from .messages import Farewell, Start
from .project import Project, ProjectRefused, pack

# Seconds between looks at which nodes there are.
_LOOK = 2.0
# Seconds that a node gets to begin its first pytest process, which may have to import much from a slow disk.
_BEGIN = 600.0
# Seconds for the last words of a node: its processes may still look for guilty operators.
_FAREWELL = 900.0
# The same, where nobody wants to wait.
_HURRY = 30.0
# Losses one after another, without a cell that ended, after which a node takes no more.
_LOSSES = 3
# Seconds after which a node whose keeper was lost gets another.
_PAUSE = 5.0
_PAUSE_OF_LOOKS = 0.1
_HEAD = "node:__internal_head__"


class State(Enum):
    """What a node is to a run."""

    BEGINS = "is not there"
    READY = "ready"
    REFUSED = "takes no cell"
    GONE = "is gone"


@dataclass(eq=False)
class Node:
    """One of them. all: what it has, as Ray counts it; room: what of that no group of ours takes now.

    why: of a node that takes no cell, or no more. losses: one after another. cells: that have ended there.
    """

    id: str
    name: str
    all: Demand
    room: Demand
    state: State = State.BEGINS
    why: str = ""
    hello: Hello | None = None
    keeper: Any = None
    losses: int = 0
    cells: int = 0
    # Whether it is no node for cells by intention, as the head mostly is.
    is_idle: bool = False
    since: float = field(default_factory=time.monotonic)
    # Its keeper's name in Ray, "" for none; and what is awaited of it: whether it has the project, or its hello.
    actor: str = ""
    asked: Any = None
    # Of a node that takes no cell any more: its last words, which nobody reads.
    ending: Any = None

    def record(self) -> dict[str, Any]:
        """What a log says of it."""
        refused = {"why": self.why} if self.why else {}
        return {"name": self.name, "cores": self.all.cpus, "memory": self.all.memory, "gpus": self.all.gpus, **refused}

    def __str__(self) -> str:
        gpus = f", {self.all.gpus:g} GPU{'s' if self.all.gpus != 1 else ''}" if self.all.gpus else ""
        cores = f"{self.all.cpus:g} core{'s' if self.all.cpus != 1 else ''}"
        return f"{self.name} ({cores}, {self.all.memory / 2**30:.0f} GiB{gpus})"


class Nodes:
    """All that were ever there.

    start: what a pytest process begins with, where the project is at its own place. expected: the environment of the
    process that collects. cache: the cache folder that was asked for, or "". say: tells the user of a node.
    """

    def __init__(
        self,
        session: str,
        start: Start,
        project: Callable[[], Project],
        expected: Facts,
        cache: str,
        say: Callable[[str], None],
    ) -> None:
        self._session = session
        self._start = start
        self._scan = project
        self._project: Project | None = None
        self._data: Any = None
        self._expected = expected
        self._cache = cache
        self._say = say
        self._nodes: dict[str, Node] = {}
        self._looked = float("-inf")
        self._begun = 0
        self._actor: Any = None

    @property
    def all(self) -> list[Node]:
        """All that were ever there."""
        return list(self._nodes.values())

    @property
    def ready(self) -> list[Node]:
        """Those that take cells, those with most room first."""
        ready = [node for node in self._nodes.values() if node.state is State.READY]
        return sorted(ready, key=lambda node: -node.room.cpus)

    @property
    def beginning(self) -> list[Node]:
        """Those that may yet take some."""
        return [node for node in self._nodes.values() if node.state is State.BEGINS]

    def look(self) -> list[Node]:
        """See which nodes there are, and how far they have come; those that are gone since the last look."""
        gone = []
        if time.monotonic() - self._looked >= _LOOK:
            alive = {entry["NodeID"]: entry for entry in ray().nodes() if entry["Alive"]}
            self._looked = time.monotonic()
            for node in self._nodes.values():
                if node.id not in alive and node.state is not State.GONE:
                    self.lose(node, "it is no more part of the cluster")
                    gone.append(node)
            for name, entry in alive.items():
                if name not in self._nodes:
                    self._nodes[name] = self._met(name, entry)
        for node in self.beginning:
            self._go_on(node)
        return gone

    def settle(self, patience: float) -> None:
        """Wait until it is known of each node whether it takes cells, but no longer than so many seconds."""
        until = time.monotonic() + patience
        self.look()
        while self.beginning and time.monotonic() < until:
            time.sleep(_PAUSE_OF_LOOKS)
            self.look()

    def _met(self, name: str, entry: Mapping[str, Any]) -> Node:
        resources = entry["Resources"]
        has = Demand(resources.get("CPU", 0.0), resources.get("GPU", 0.0), int(resources.get("memory", 0)))
        node = Node(name, _name(entry, self._nodes.values()), has, has)
        if has.cpus < 1:
            role = "it is the head, and" if _HEAD in resources else "it"
            node.state, node.is_idle = State.REFUSED, True
            node.why = f"{role} offers no processor to Ray (num-cpus)"
            return node
        self._begin(node)
        return node

    def _begin(self, node: Node) -> None:
        """Begin the node's keeper, and ask whether it has the project."""
        if self._actor is None:
            self._actor = ray().remote(Keeper)
            self._project = self._scan()
        strategy = ray().util.scheduling_strategies.NodeAffinitySchedulingStrategy(node.id, soft=False)
        node.state, node.since = State.BEGINS, time.monotonic()
        # Each keeper has a name of its own: that of one that was ended may not be free yet.
        self._begun += 1
        node.actor = f"modelconform-{self._session}-{self._begun}"
        node.keeper = self._actor.options(
            name=node.actor,
            num_cpus=0,
            max_concurrency=1000,
            scheduling_strategy=strategy,
        ).remote(None, self._cache)
        node.asked = node.keeper.has.remote(self._project)

    def _go_on(self, node: Node) -> None:
        """See what a node has answered, and ask what is next."""
        if node.keeper is None:
            # Again; if the node itself is gone, that is known by now.
            if time.monotonic() - node.since > _PAUSE:
                self._begin(node)
            return
        ready, _ = ray().wait([node.asked], timeout=0)
        if not ready:
            if time.monotonic() - node.since > _BEGIN:
                self._refuse(node, f"it did not begin within {_BEGIN:.0f} s")
            return
        try:
            answer = ray().get(node.asked)
            if isinstance(answer, Hello):
                self._judge(node, answer)
                return
            data = None if answer else self._packed()
            slots = {**self._start.workerinput, "workercount": max(1, int(node.all.cpus))}
            start = Start(**{**vars(self._start), "workerinput": slots})
            node.asked = node.keeper.begin.remote(start, self._project, data)
        except ProjectRefused as refused:
            self._refuse(node, str(refused))
        except Exception as error:
            self._refuse(node, _words(error))

    def _packed(self) -> Any:
        if self._data is None:
            assert self._project is not None
            self._data = ray().put(pack(self._project))
        return self._data

    def _judge(self, node: Node, hello: Hello) -> None:
        if differs := differences(self._expected, hello.facts):
            self._refuse(node, f"its environment differs: {'; '.join(differs)}")
            return
        node.hello, node.state, node.why = hello, State.READY, ""

    def _refuse(self, node: Node, why: str) -> None:
        node.state, node.why = State.REFUSED, why
        if node.keeper is not None:
            # Its processes end in order; the keeper itself is ended with the run.
            with contextlib.suppress(Exception):
                node.ending = node.keeper.finish.remote()
        self._say(f"{node.name} takes no cell: {why}")

    def lose(self, node: Node, why: str) -> None:
        """A node is gone."""
        node.state, node.why = State.GONE, why
        self._say(f"{node.name} is gone: {why}")

    def lost_group(self, node: Node, why: str, is_of_keeper: bool) -> None:
        """A node has lost what it ran, and may still be there. is_of_keeper: whether its keeper has ended."""
        node.losses += 1
        if node.state is not State.READY:
            return
        if node.losses >= _LOSSES:
            self._refuse(node, f"it has lost {_LOSSES} groups one after another")
        elif is_of_keeper:
            self._end(node)
            node.state, node.since, node.why = State.BEGINS, time.monotonic(), why

    def actors(self, ids: Iterable[str]) -> list[str]:
        """The names of keepers, of those nodes that have one."""
        return [node.actor for name in ids if (node := self._nodes.get(name)) and node.keeper is not None]

    def _end(self, node: Node) -> None:
        """End a node's keeper at once; its processes see that, and end."""
        if node.keeper is not None:
            with contextlib.suppress(Exception):
                ray().kill(node.keeper)
            node.keeper = None

    def finish(self, hurry: bool) -> list[tuple[Node, Farewell]]:
        """End what runs on all nodes, and take what they have to say; of a node that says nothing, nothing."""
        asked = {}
        for node in self._nodes.values():
            if node.keeper is not None and node.state is State.READY:
                with contextlib.suppress(Exception):
                    asked[node.keeper.finish.remote()] = node
            elif node.ending is not None:
                asked[node.ending] = node
        found = []
        left = list(asked)
        until = time.monotonic() + (_HURRY if hurry else _FAREWELL)
        while left and time.monotonic() < until:
            ready, left = ray().wait(left, timeout=1.0)
            for reference in ready:
                with contextlib.suppress(Exception):
                    answer = ray().get(reference)
                    if asked[reference].state is State.READY:
                        found.append((asked[reference], answer))
            self._forget_gone(asked, left)
        for node in self._nodes.values():
            self._end(node)
        return found

    def _forget_gone(self, asked: Mapping[Any, Node], left: list[Any]) -> None:
        gone = set(map(id, self.look()))
        left[:] = [reference for reference in left if id(asked[reference]) not in gone]


def _name(entry: Mapping[str, Any], others: Iterable[Node]) -> str:
    """A node's address, which is enough where no other node has it."""
    address = str(entry["NodeManagerAddress"])
    same = [node for node in others if node.name.partition("#")[0] == address]
    return f"{address}#{len(same) + 1}" if same else address


def _words(error: Exception) -> str:
    """What Ray says of a failure, without its stack."""
    cause = getattr(error, "cause", None) or error
    text = str(cause).strip() or type(cause).__name__
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[0] if len(lines) == 1 else f"{lines[0]} … {lines[-1]}"
