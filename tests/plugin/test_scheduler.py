"""What xdist's processes are told, and when."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelconform.plugin.plan import Plan
from pytest_modelconform.plugin.scheduler import CellScheduling

ITEMS = [f"{case}.py::{case}[onnx-runtime{number}-cpu]" for case in "ab" for number in range(4)]


class Node:
    """A process as xdist's controller sees it."""

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.told: list[str] = []
        self.shutting_down = False

    def send_runtest_some(self, places: Sequence[int]) -> None:
        assert not self.shutting_down
        self.told += [ITEMS[place] for place in places]

    def shutdown(self) -> None:
        self.shutting_down = True


class Session:
    """A scheduling with its processes; `reports` are those of collection."""

    def __init__(self, collections: Sequence[Sequence[str]] = (ITEMS, ITEMS)) -> None:
        self.reports: list[pytest.CollectReport] = []
        hook = SimpleNamespace(pytest_collectreport=lambda report: self.reports.append(report))
        config: Any = SimpleNamespace(hook=hook, getvalue=lambda name: ["2*popen"])
        log: Any = SimpleNamespace(modelconform=lambda *words: None)
        self.scheduling = CellScheduling(config, log, lambda items: Plan(items, lambda *about: 1.0, {}))
        self.nodes = [Node(name) for name in ("gw0", "gw1")]
        for node, collection in zip(self.nodes, collections, strict=True):
            self.scheduling.add_node(node)
            assert not self.scheduling.collection_is_completed
            self.scheduling.add_node_collection(node, collection)
        assert self.scheduling.collection_is_completed
        self.scheduling.schedule()

    def run(self, node: Node) -> bool:
        """Run a process's next cell if it may begin: it knows the next one, or that there is none."""
        if not node.told or (len(node.told) < 2 and not node.shutting_down):
            return False
        self.scheduling.mark_test_complete(node, ITEMS.index(node.told.pop(0)), 2.0)
        return True


def test_all_cells_are_run_and_all_processes_hear_of_the_end() -> None:
    session = Session()
    assert [node.told[0] for node in session.nodes] == [ITEMS[0], ITEMS[4]]
    while sum(session.run(node) for node in session.nodes):
        pass
    assert [node.told for node in session.nodes] == [[], []]
    assert not session.scheduling.has_pending
    assert session.scheduling.tests_finished
    assert [node.shutting_down for node in session.nodes] == [True, True]
    assert session.scheduling.busy == 2.0 * len(ITEMS)
    assert session.scheduling.ended >= session.scheduling.began > 0


def test_what_a_dead_process_had_is_run_by_its_replacement() -> None:
    session = Session()
    first, second = session.nodes
    while session.run(second):
        pass
    assert second.shutting_down
    session.run(first)
    assert session.scheduling.remove_node(first) == ITEMS[1]
    assert session.scheduling.has_pending
    replacement = Node("gw2")
    session.nodes = [replacement]
    session.scheduling.add_node(replacement)
    session.scheduling.add_node_collection(replacement, ITEMS)
    session.scheduling.schedule()
    while session.run(replacement):
        pass
    assert not session.scheduling.has_pending


def test_a_process_that_dies_before_it_was_there_is_replaced() -> None:
    session = Session()
    # xdist hears of it, and replaces the process.
    with pytest.raises(KeyError):
        session.scheduling.remove_node(Node("gw9"))


def test_processes_that_collect_different_cells_run_none() -> None:
    session = Session((ITEMS, ITEMS[:-1]))
    assert [node.told for node in session.nodes] == [[], []]
    assert [report.nodeid for report in session.reports] == ["gw1"]
    assert "Different tests were collected between gw0 and gw1" in str(session.reports[0].longrepr)
    assert session.scheduling.tests_finished


def test_no_cell_at_all_is_the_end() -> None:
    session = Session(((), ()))
    assert session.scheduling.tests_finished
    assert all(node.shutting_down for node in session.nodes)


def test_what_all_processes_have_collected_is_kept_once() -> None:
    session = Session((ITEMS, [str(item) for item in ITEMS]))
    first, second = session.scheduling._collections.values()
    assert first is second
