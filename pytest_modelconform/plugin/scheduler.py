"""How xdist spreads the cells: `plan.py` says which, this tells xdist's processes of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from xdist.report import report_collection_diff  # type: ignore[import-untyped]
from xdist.workermanage import parse_tx_spec_config  # type: ignore[import-untyped]

from .plan import Plan


class CellScheduling:
    """What xdist asks of a scheduler (xdist.scheduler.protocol.Scheduling). plan: makes one of all node ids.

    began, ended: when cells were first handed out, and when the last one ended, by time.monotonic; busy: seconds that
    all processes together have spent on cells.
    """

    def __init__(self, config: pytest.Config, log: Any, plan: Callable[[Sequence[str]], Plan]) -> None:
        self.config = config
        self.log = log.modelconform
        self.numnodes = len(parse_tx_spec_config(config))
        self.began = self.ended = self.busy = 0.0
        self._make_plan = plan
        self._plan: Plan | None = None
        self._nodes: list[Any] = []
        self._collections: dict[Any, list[str]] = {}
        # Places of node ids, which are what the processes are told.
        self._places: Mapping[str, int] = {}

    # -- what xdist asks -------------------------------------------------------------------------------------------

    @property
    def nodes(self) -> list[Any]:
        """The processes that are there."""
        return list(self._nodes)

    @property
    def collection_is_completed(self) -> bool:
        """Whether as many processes as there are to be have collected."""
        return len(self._collections) >= self.numnodes

    @property
    def tests_finished(self) -> bool:
        """Whether no process needs to be told of more: each runs its last one when it hears of the end."""
        plan = self._plan
        return plan is not None and plan.is_exhausted and all(len(plan.told(node)) < 2 for node in plan.processes)

    @property
    def has_pending(self) -> bool:
        """Whether cells run, or wait for it."""
        plan = self._plan
        return plan is not None and (not plan.is_exhausted or any(plan.told(node) for node in plan.processes))

    # -- what xdist tells ------------------------------------------------------------------------------------------

    def add_node(self, node: Any) -> None:
        """A process has started."""
        self._nodes.append(node)

    def add_node_collection(self, node: Any, collection: Sequence[str]) -> None:
        """A process has collected; one that replaces another has to have collected the same."""
        if self._plan is not None and self._differs(node, collection):
            return
        found = list(collection)
        # One list for all that are the same: each has node ids of its own, which with many processes is much memory.
        self._collections[node] = next((known for known in self._collections.values() if known == found), found)

    def schedule(self) -> None:
        """All have collected, or one that replaces another has."""
        if self._plan is None:
            first = next(iter(self._collections.values()))
            if [node for node, found in self._collections.items() if self._differs(node, found)]:
                self.log("the processes collected different cells: none is run")
                first = []
            self._places = {node_id: place for place, node_id in enumerate(first)}
            self._plan = self._make_plan(first)
            self.began = self.ended = time.monotonic()
        for node in self._nodes:
            if node in self._collections:
                self._plan.join(node)
        for node in list(self._plan.processes):
            self._tell(node)

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        """A process has ended a cell."""
        assert self._plan is not None
        self.busy += duration
        self.ended = time.monotonic()
        self._plan.done(node, self._collections[node][item_index])
        self._tell(node)

    def mark_test_pending(self, item: str) -> None:
        """Not asked: a cell that a process died in isn't run again."""
        raise NotImplementedError

    def remove_pending_tests_from_node(self, node: Any, indices: Sequence[int]) -> None:
        """Not asked: nothing is taken from a process."""
        raise NotImplementedError

    def remove_node(self, node: Any) -> str | None:
        """A process is gone: the cell that it died in, if any. All else that it had is for the others.

        Raises KeyError for one that died before it was there, which xdist expects.
        """
        if node not in self._nodes:
            raise KeyError(node)
        self._nodes.remove(node)
        if self._plan is None or node not in self._plan.processes:
            return None
        crashed = self._plan.leave(node)
        for other in list(self._plan.processes):
            self._tell(other)
        return crashed

    # --------------------------------------------------------------------------------------------------------------

    def made(self, need: str) -> None:
        """What cells have waited for is there, or never will be. Called from any thread."""
        if self._plan is not None:
            self._plan.made(need)

    def _tell(self, node: Any) -> None:
        """Tell a process what it runs next, or that there is nothing left for it."""
        assert self._plan is not None
        if node.shutting_down:
            return
        if found := self._plan.next(node):
            node.send_runtest_some([self._places[node_id] for node_id in found])
        if self._plan.is_at_end(node):
            node.shutdown()

    def _differs(self, node: Any, collection: Sequence[str]) -> bool:
        other, first = next(iter(self._collections.items()))
        if list(collection) == first:
            return False
        text = report_collection_diff(first, collection, other.gateway.id, node.gateway.id)
        report = pytest.CollectReport(node.gateway.id, "failed", longrepr=text, result=[])
        self.config.hook.pytest_collectreport(report=report)
        return True
