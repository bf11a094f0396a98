"""How xdist spreads the cells: those of one case, format and dtype stay together, the longest units go first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from ..terms.case import DEFAULTS
from ..terms.cell import GRADIENTS, RESUME, TRAINING


class CellScheduling(LoadScopeScheduling):
    """Units of (case, format, dtype): who exported an artifact has it in its page cache, and one host built the model.

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

    def _reschedule(self, node: Any) -> None:
        super()._reschedule(node)
        # A process runs an item only when it knows the next one, or that there is none: a replacement that got the one
        # item which a dead process had left would wait for ever.
        if not node.shutting_down and self._pending_of(self.assigned_work[node]) < 2:
            super()._reschedule(node)

    def remove_node(self, node: Any) -> str | None:
        """Give back a dead process's units, without the item that it died in, which is returned.

        xdist's own would hand that item to the next process at once, to die or hang there as well.
        """
        units: dict[str, dict[str, bool]] = self.assigned_work.pop(node)
        crashed = next((node_id for unit in units.values() for node_id, done in unit.items() if not done), None)
        if crashed is None:
            return None
        for unit in units.values():
            if crashed in unit:
                unit[crashed] = True
        self.workqueue.update({scope: unit for scope, unit in units.items() if not all(unit.values())})
        for other in self.assigned_work:
            self._reschedule(other)
        return crashed


def scope_of(node_id: str) -> str:
    """The unit of a node id: case, format and dtype; any other test is a unit of its own."""
    head, bracket, rest = node_id.partition("[")
    if not bracket or "::" not in head:
        return node_id
    first, *others = rest.rstrip("]").split("-")
    # What trains has references and artifacts in common that nothing else uses.
    trains = [TRAINING] if set(others) & {GRADIENTS, TRAINING, RESUME} else []
    return f"{head}[{'-'.join([first, *(word for word in others if word in DEFAULTS), *trains])}"
