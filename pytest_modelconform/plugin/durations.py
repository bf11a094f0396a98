"""What cells took in earlier runs, time and memory, and what the others may take.

So the longest begin first, shards are equal, and what would not fit beside what runs waits. Two numbers a cell, of
each: with what had to be made for it (references, artifact), and with that in the cache. A key says for which state of
the case file and of the installation it was made; nobody looks into the cache for an order.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from ..cache.fingerprint import fingerprint, hash_file, hash_of
from ..report.recordings import Known, parsed, stored
from .plan import scope_of

_FILE = "durations.json"
# Cells whose durations are kept, those that ran last: 25 MB, where there are so many.
_MOST = 200_000
# Seconds that others may take to write it.
_PATIENCE = 5.0

# Seconds that making a unit takes besides running its cells: of the main job on two cores, the median of each format
# (torch 2.14.1). Names as in node ids.
_MADE = {
    "aoti": 16.0,
    "module": 10.0,  # where it runs, it is compiled
    "onnx": 4.7,
    "export": 1.5,
    "eager": 2.0,
    "onnx_legacy": 0.2,
    "torchscript_script": 0.2,
    "torchscript_trace": 0.1,
    "state_dict": 0.1,
}
# Of other formats: most begin with torch.export, and convert what that gives.
_CONVERTED = 5.0
# A cell whose artifact is there: it is loaded, run and compared.
_CELL = 1.0
# From how many units on their median stands for a format.
_ENOUGH = 3
# Bytes that a cell's processes take at the most (`Outcome.memory`), of small models, which is what libraries take: of
# cases/plain/net.py and mlp.py with all to be made (torch 2.14.1). Most have a case host with PyTorch and a runtime.
_MEMORY = {"aoti": 1_900_000_000, "export": 1_600_000_000}
_MEMORY_OF_A_CELL = 1_200_000_000
# How much larger or smaller than others the other units of a case may make one, at most.
_SIZES = 0.1, 10.0


@dataclass
class _Unit:
    """What is known of a unit. seconds: that its cells took when they were made. memory: bytes of the largest."""

    seconds: float = 0.0
    cells: int = 0
    memory: int = 0


class Estimates:
    """What cells will take, of what is known of some. A pure function of that, as shards on several machines need it.

    known: by node id. key: of a node id, what its cells would be made for now; None where nothing tells.
    """

    def __init__(self, known: Mapping[str, Known], key: Callable[[str], str | None] = lambda node_id: None) -> None:
        self._known = known
        self._key = key
        self._units: defaultdict[str, dict[str, _Unit]] = defaultdict(dict)
        for node_id, one in known.items():
            scope = scope_of(node_id)
            unit = self._units[_case_of(scope)].setdefault(scope, _Unit())
            unit.seconds += one.made
            unit.cells += 1
            unit.memory = max(unit.memory, one.made_memory, one.memory)
        # Of this session's cells, by case.
        self._seen: dict[str, int] = {}

    def knows(self, item: str) -> bool:
        """Whether it has run before, in whatever state."""
        return item in self._known

    # -- seconds ---------------------------------------------------------------------------------------------------

    def of_unit(self, scope: str, items: Sequence[str], makes: bool = True) -> float:
        """Seconds that cells of a unit will take, as recorded or else as those like them did.

        makes: whether they are the first of it, which have the artifact made.
        """
        known = [self._known[item].under(self._key(item)) for item in items if item in self._known]
        if len(known) == len(items):
            return float(sum(known))
        making = self._making(scope) if makes and not known else 0.0
        return sum(known) + making + _CELL * (len(items) - len(known))

    def _making(self, scope: str) -> float:
        """What is made for a unit that never ran: as for others in its format, times the size of its case.

        Nothing for tests beside the cells.
        """
        if "[" not in scope:
            return 0.0
        return self._size(_case_of(scope)) * self._usual(_format_of(scope))

    def _usual(self, name: str) -> float:
        return self._formats.get(name) or _MADE.get(name, _CONVERTED)

    @functools.cached_property
    def _formats(self) -> Mapping[str, float]:
        """By format, what making a unit took in earlier runs, in the middle, where enough are known."""
        return _middle(
            (_format_of(scope), max(0.0, unit.seconds - _CELL * unit.cells))
            for units in self._units.values()
            for scope, unit in units.items()
        )

    def _size(self, case: str) -> float:
        """How many times as long as others in their formats the units of a case take when they are made."""
        units = self._units.get(case, {})
        usual = sum(self._usual(_format_of(scope)) + _CELL * unit.cells for scope, unit in units.items())
        least, most = _SIZES
        return min(max(sum(unit.seconds for unit in units.values()) / usual, least), most) if units else 1.0

    # -- bytes -----------------------------------------------------------------------------------------------------

    def memory_of_unit(self, scope: str, items: Sequence[str]) -> int:
        """Bytes that a cell of these will take at the most: as recorded, else as the case's others or the format's did.

        Of a case of which nothing is known, nobody knows the weights before it is built: then a step that doesn't fit
        is told when it is about to begin (`terms/memory.py`).
        """
        known = [self.recorded_memory(item) for item in items]
        most = max(known, default=0)
        if all(known) or "[" not in scope:
            return most
        case = _case_of(scope)
        of_case = max((unit.memory for unit in self._units.get(case, {}).values()), default=0)
        of_case = max(of_case, self._seen.get(case, 0))
        name = _format_of(scope)
        return max(most, of_case or int(self._memory_of_formats.get(name, 0)) or _MEMORY.get(name, _MEMORY_OF_A_CELL))

    def recorded_memory(self, item: str) -> int:
        """Bytes that a cell took, 0 where nobody has looked."""
        known = self._known.get(item)
        return known.memory_under(self._key(item)) if known is not None else 0

    def surely_takes(self, item: str) -> int:
        """Bytes that a cell took when it ran here, as it is now; 0 where its file or the installation has changed."""
        known = self._known.get(item)
        return known.memory_under(known.key) if known is not None and known.key and known.key == self._key(item) else 0

    def saw(self, item: str, memory: int) -> None:
        """What a cell has taken just now, which tells something of those like it."""
        case = _case_of(scope_of(item))
        self._seen[case] = max(memory, self._seen.get(case, 0))

    @functools.cached_property
    def _memory_of_formats(self) -> Mapping[str, float]:
        units = (pair for of_case in self._units.values() for pair in of_case.items())
        return _middle((_format_of(scope), unit.memory) for scope, unit in units if unit.memory)


class Durations(Estimates):
    """Those of earlier runs, and of this one. cache: the folder. root: what the files of node ids are relative to.

    recorded: what other machines passed on, for what this one has never run.
    """

    def __init__(self, cache: Path, root: Path, recorded: Mapping[str, Known] = MappingProxyType({})) -> None:
        self._path = cache / _FILE
        self._root = root
        self._keys: dict[str, str] = {}
        self._new: dict[str, Known] = {}
        # Of earlier runs: to estimate anew with what this one learns was tried for seconds, and gained nothing.
        super().__init__({**recorded, **_read(self._path)}, self._key_of)

    def note(
        self,
        node_id: str,
        seconds: float,
        export: float = 0.0,
        is_cached: bool | None = None,
        memory: int | None = None,
    ) -> None:
        """A cell of this run. export: of `seconds`, what its artifact took. is_cached: whether that was there.

        memory: bytes that it took, None where nobody could look.
        """
        key, before, took = self._key_of(node_id), self._known.get(node_id), memory or 0
        if before is not None and before.key == key and is_cached is not False:
            self._new[node_id] = Known(key, before.made, seconds, before.made_memory, took or before.memory)
        else:
            rest = max(0.0, seconds - export) if is_cached is False else seconds
            self._new[node_id] = Known(key, seconds, rest, took, took)

    def save(self) -> None:
        """Add this run's to the others'. Nothing happens where that fails: it is only for the order of the next run."""
        from filelock import FileLock, Timeout

        if not self._new:
            return
        with contextlib.suppress(OSError, Timeout), FileLock(self._path.with_suffix(".lock"), timeout=_PATIENCE):
            others = {name: known for name, known in _read(self._path).items() if name not in self._new}
            _write(self._path, {**others, **self._new})

    def _key_of(self, node_id: str) -> str:
        file = node_id.partition("::")[0]
        if file not in self._keys:
            path = self._root / file
            # Of one that is elsewhere nobody can tell whether it has changed.
            self._keys[file] = hash_of(fingerprint(), hash_file(path))[:12] if path.is_file() else ""
        return self._keys[file]


def _middle(found: Iterable[tuple[str, float]]) -> Mapping[str, float]:
    """By name the median of its values, where there are enough."""
    values: defaultdict[str, list[float]] = defaultdict(list)
    for name, value in found:
        values[name].append(value)
    return {name: statistics.median(those) for name, those in values.items() if len(those) >= _ENOUGH}


def _case_of(scope: str) -> str:
    return scope.partition("[")[0]


def _format_of(scope: str) -> str:
    return scope.partition("[")[2].partition("-")[0]


def _read(path: Path) -> dict[str, Known]:
    try:
        content = json.loads(path.read_text())
        return {str(name): parsed(value) for name, value in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write(path: Path, known: Mapping[str, Known]) -> None:
    # What ran last is behind.
    kept = list(known.items())[-_MOST:]
    content = {name: stored(one) for name, one in kept}
    handle, temporary = tempfile.mkstemp(prefix=".durations-", dir=path.parent)
    with os.fdopen(handle, "w") as file:
        json.dump(content, file, separators=(",", ":"))
    Path(temporary).replace(path)
