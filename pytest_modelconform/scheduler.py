"""How xdist spreads the cells: those of one case and format stay together, the longest units go first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]


class CellScheduling(LoadScopeScheduling):
    """Units of (case, format): the process that exported an artifact has it in its page cache, and one host built it.

    durations: seconds by node id in earlier runs. A unit without a record is taken to be long: it may be.
    """

    def __init__(self, config: pytest.Config, log: Any, durations: Mapping[str, float]) -> None:
        super().__init__(config, log)
        self.durations = durations

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)

    def _assign_work_unit(self, node: Any) -> None:
        self.workqueue.move_to_end(max(self.workqueue, key=self._length), last=False)
        super()._assign_work_unit(node)

    def _length(self, scope: str) -> float:
        known = [self.durations.get(node_id) for node_id in self.workqueue[scope]]
        return sum(1e3 if seconds is None else seconds for seconds in known)

    def remove_node(self, node: Any) -> str | None:
        """Give back a dead process's units, without the item that it died in: that one has its verdict."""
        crashed = super().remove_node(node)
        if crashed is not None:
            for unit in (
                *self.workqueue.values(),
                *(u for units in self.assigned_work.values() for u in units.values()),
            ):
                if crashed in unit:
                    unit[crashed] = True
            for scope in [scope for scope, unit in self.workqueue.items() if all(unit.values())]:
                del self.workqueue[scope]
        return crashed


def scope_of(node_id: str) -> str:
    """The unit of a node id: case and format; any other test is a unit of its own."""
    head, bracket, rest = node_id.partition("[")
    return f"{head}[{rest.partition('-')[0].rstrip(']')}" if bracket and "::" in head else node_id
