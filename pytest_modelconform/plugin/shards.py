"""`--modelconform-shard I/N`: which part of a run this session is.

The split is a pure function of what is collected: machines that collect the same split it alike, and need not talk.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import astuple
from typing import Any

import pytest

from ..terms.cell import Cell
from .items import CellItem
from .run import Run

_OUTPUT = "modelconform_sharded"


def split(units: Iterable[str], count: int) -> Mapping[str, int]:
    """For each unit, which is named once for each of its items, the index of its shard, from 1.

    The largest units first, each to the shard that has the fewest items so far. Among units of a size a hash decides:
    in the order of their names a shard could get all cells of one slow format.
    """
    sizes = Counter(units)
    load = dict.fromkeys(range(1, count + 1), 0)
    shards = {}
    for unit in sorted(sizes, key=lambda unit: (-sizes[unit], hashlib.sha256(unit.encode()).digest())):
        shards[unit] = min(load, key=lambda index: (load[index], index))
        load[shards[unit]] += sizes[unit]
    return shards


def unit_of(item: pytest.Item) -> str:
    """What stays together: the cells of a case and format, which share an artifact. Any other item is one by itself."""
    if isinstance(item, CellItem):
        return f"{item.cell.file}::{item.cell.case}[{item.cell.format}]"
    return item.nodeid


class ShardPlugin:
    """Deselects what other shards run, and tells the log what that is. In xdist, its workers tell the controller."""

    def __init__(self, run: Run, index: int, count: int) -> None:
        self.run = run
        self.index = index
        self.count = count
        self._is_empty = False

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """After -k and -m: what is selected is split."""
        shards = split(map(unit_of, items), self.count)
        cells = {item.cell: shards[unit_of(item)] for item in items if isinstance(item, CellItem)}
        self.run.sharded.update(cells)
        others = [item for item in items if shards[unit_of(item)] != self.index]
        if others:
            items[:] = [item for item in items if shards[unit_of(item)] == self.index]
            config.hook.pytest_deselected(items=others)
            self._is_empty = not items

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """A shard that has nothing to do has done it: no tests is a failure only where there are none at all."""
        if self.run.is_xdist_worker:
            cells = [[index, *astuple(cell)] for cell, index in self.run.sharded.items()]
            session.config.workeroutput[_OUTPUT] = [cells, self._is_empty]  # type: ignore[attr-defined]
        elif self._is_empty and exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            session.exitstatus = pytest.ExitCode.OK

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """On an xdist controller: what a worker has collected. One that died has said nothing; the others have."""
        cells, is_empty = getattr(node, "workeroutput", {}).get(_OUTPUT, ([], False))
        self._is_empty = self._is_empty or is_empty
        self.run.sharded.update({Cell(*names): index for index, *names in cells})

    def pytest_report_header(self) -> str:
        """Which part this is."""
        return f"modelconform: shard {self.index} of {self.count}"
