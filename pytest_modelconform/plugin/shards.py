"""`--modelconform-shard I/N`: which part of a run this session is.

The split is a pure function of what is collected and of the recordings that `--modelconform-durations` names: machines
that have both alike split it alike, and need not talk. What a machine knows besides, of its own runs, is not asked.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import astuple
from typing import Any

import pytest

from ..report.plural import counted
from ..terms.cell import Cell
from .durations import Estimates
from .items import CellItem
from .plan import scope_of
from .run import Run

_OUTPUT = "modelconform_sharded"
# Of what a shard has in the middle, what the units of a case may take together and stay together. Their references and
# the case itself are then made once: with 16 shards, the zoo's 137 cases are made 154 times instead of 744. What is
# left fills the shards as evenly as single units do (to 1 %).
_TOGETHER = 0.5


def split(units: Mapping[str, float], count: int) -> Mapping[str, int]:
    """For each unit, of which we have the seconds, the index of its shard, from 1.

    The longest cases first, each to the shard that has least so far. Among those of a length a hash decides: in the
    order of their names a shard could get all cells of one slow format.
    """
    middle = math.fsum(units.values()) / count
    cases = defaultdict(list)
    for unit in sorted(units):
        cases[unit.partition("[")[0]].append(unit)
    parts: dict[str, list[str]] = {}
    for case, those in cases.items():
        is_one = math.fsum(units[unit] for unit in those) <= _TOGETHER * middle
        parts |= {case: those} if is_one else {unit: [unit] for unit in those}
    seconds = {name: math.fsum(units[unit] for unit in those) for name, those in parts.items()}
    load = dict.fromkeys(range(1, count + 1), 0.0)
    shards = {}
    for name in sorted(parts, key=lambda name: (-seconds[name], hashlib.sha256(name.encode()).digest())):
        index = min(load, key=lambda index: (load[index], index))
        load[index] += seconds[name]
        shards.update(dict.fromkeys(parts[name], index))
    return shards


def seconds_of(items: Iterable[tuple[str, str]], estimates: Estimates) -> dict[str, float]:
    """What units take, whatever the order of their items. items: unit and node id of each."""
    scopes: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for unit, node_id in items:
        scopes[unit][scope_of(node_id)].append(node_id)
    return {
        unit: math.fsum(estimates.of_unit(scope, sorted(ids)) for scope, ids in those.items())
        for unit, those in scopes.items()
    }


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
        of_file = self.run.recordings
        named = [(unit_of(item), item.nodeid) for item in items]
        shards = split(seconds_of(named, Estimates(of_file.known if of_file is not None else {})), self.count)
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
        """Which part this is, and by what the whole is split."""
        of_file = self.run.recordings
        by = f"recordings {of_file.digest} of {counted(len(of_file.known), 'cell')}" if of_file else "estimates"
        return f"modelconform: shard {self.index} of {self.count}, split by {by}"
