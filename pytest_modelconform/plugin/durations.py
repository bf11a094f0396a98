"""How long cells took in earlier runs, and how long the others may take, so that the longest begin first.

Two numbers a cell: with what had to be made for it (references, artifact), and with that in the cache. A key says for
which state of the case file and of the installation it was made; nobody looks into the cache for an order.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..cache.fingerprint import fingerprint, hash_file, hash_of
from .plan import scope_of

_FILE = "durations.json"
# Cells whose durations are kept, those that ran last: 2 MB.
_MOST = 20_000
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
# How much larger or smaller than others the other units of a case may make one, at most.
_SIZES = 0.1, 10.0


@dataclass(frozen=True)
class Known:
    """Of a cell. key: what it was made for. made: seconds when it was; cached: with what was made in the cache."""

    key: str
    made: float
    cached: float

    def under(self, key: str) -> float:
        """Seconds where the key is another, or still the same."""
        return self.cached if key == self.key else self.made


@dataclass
class _Unit:
    """What is known of a unit. seconds: that its cells took when they were made."""

    seconds: float = 0.0
    cells: int = 0


class Durations:
    """Those of earlier runs, and of this one. cache: the folder. root: what the files of node ids are relative to."""

    def __init__(self, cache: Path, root: Path) -> None:
        self._path = cache / _FILE
        self._root = root
        self._known = _read(self._path)
        self._keys: dict[str, str] = {}
        self._new: dict[str, Known] = {}
        # Of earlier runs, by case and scope. To estimate anew with what this one learns was tried, and gained nothing.
        self._units: defaultdict[str, dict[str, _Unit]] = defaultdict(dict)
        for node_id, known in self._known.items():
            scope = scope_of(node_id)
            unit = self._units[_case_of(scope)].setdefault(scope, _Unit())
            unit.seconds += known.made
            unit.cells += 1

    def note(self, node_id: str, seconds: float, export: float = 0.0, is_cached: bool | None = None) -> None:
        """A cell of this run. export: of `seconds`, what its artifact took. is_cached: whether that was there."""
        key, before = self._key(node_id), self._known.get(node_id)
        if before is not None and before.key == key and is_cached is not False:
            self._new[node_id] = Known(key, before.made, seconds)
        else:
            rest = max(0.0, seconds - export) if is_cached is False else seconds
            self._new[node_id] = Known(key, seconds, rest)

    def save(self) -> None:
        """Add this run's to the others'. Nothing happens where that fails: it is only for the order of the next run."""
        from filelock import FileLock, Timeout

        if not self._new:
            return
        with contextlib.suppress(OSError, Timeout), FileLock(self._path.with_suffix(".lock"), timeout=_PATIENCE):
            others = {name: known for name, known in _read(self._path).items() if name not in self._new}
            _write(self._path, {**others, **self._new})

    # -- estimates -------------------------------------------------------------------------------------------------

    def of_unit(self, scope: str, items: Sequence[str], makes: bool = True) -> float:
        """Seconds that cells of a unit will take, as recorded or else as those like them did.

        makes: whether they are the first of it, which have the artifact made.
        """
        known = [self._known[item].under(self._key(item)) for item in items if item in self._known]
        if len(known) == len(items):
            return sum(known)
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
        found: defaultdict[str, list[float]] = defaultdict(list)
        for units in self._units.values():
            for scope, unit in units.items():
                found[_format_of(scope)].append(max(0.0, unit.seconds - _CELL * unit.cells))
        return {name: statistics.median(seconds) for name, seconds in found.items() if len(seconds) >= _ENOUGH}

    def _size(self, case: str) -> float:
        """How many times as long as others in their formats the units of a case take when they are made."""
        units = self._units[case]
        usual = sum(self._usual(_format_of(scope)) + _CELL * unit.cells for scope, unit in units.items())
        least, most = _SIZES
        return min(max(sum(unit.seconds for unit in units.values()) / usual, least), most) if units else 1.0

    def _key(self, node_id: str) -> str:
        file = node_id.partition("::")[0]
        if file not in self._keys:
            self._keys[file] = hash_of(fingerprint(), hash_file(self._root / file))[:12]
        return self._keys[file]


def _case_of(scope: str) -> str:
    return scope.partition("[")[0]


def _format_of(scope: str) -> str:
    return scope.partition("[")[2].partition("-")[0]


def _read(path: Path) -> dict[str, Known]:
    try:
        content = json.loads(path.read_text())
        return {str(name): _known(value) for name, value in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _known(value: object) -> Known:
    if isinstance(value, list):
        key, made, cached = value
        found = Known(str(key), float(made), float(cached))
    else:  # an older version's, which kept one number
        found = Known("", float(value), float(value))  # type: ignore[arg-type]
    if not (math.isfinite(found.made) and math.isfinite(found.cached)):
        raise ValueError(value)
    return found


def _write(path: Path, known: Mapping[str, Known]) -> None:
    # What ran last is behind.
    kept = list(known.items())[-_MOST:]
    content = {name: [one.key, round(one.made, 3), round(one.cached, 3)] for name, one in kept}
    handle, temporary = tempfile.mkstemp(prefix=".durations-", dir=path.parent)
    with os.fdopen(handle, "w") as file:
        json.dump(content, file, separators=(",", ":"))
    Path(temporary).replace(path)
