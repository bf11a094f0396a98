"""What cells took in earlier runs, time and memory, as a file that machines pass on: made of a log, and read again."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..terms.outcome import Outcome
from .log import Log

# What a cell without a duration in the log, as those of before 2026-11-29, took besides its stages, and how often it
# runs an input set.
_BESIDES, _RUNS = 0.6, 3
# As exact as anybody needs it: the numbers of two runs differ by more.
_DIGITS, _MEGABYTE = 2, 10**6


class RecordingError(ValueError):
    """A file that holds no recordings. The message names file and entry, and says what makes one."""


@dataclass(frozen=True)
class Known:
    """Of a cell. key: what it was made for. made: seconds when it was; cached: with what was made in the cache.

    made_memory, memory: the bytes that it took then; 0 where nobody has looked.
    """

    key: str
    made: float
    cached: float
    made_memory: int = 0
    memory: int = 0

    def under(self, key: str | None) -> float:
        """Seconds where the key is another, or still the same. None: another one in any case."""
        return self.cached if key == self.key else self.made

    def memory_under(self, key: str | None) -> int:
        """Bytes, in the same way."""
        return self.memory or self.made_memory if key == self.key else self.made_memory or self.memory


@dataclass(frozen=True)
class Recordings:
    """Those of a file. known: by node id. digest: of their content, the same wherever the file is."""

    known: Mapping[str, Known]
    digest: str


def read(path: Path) -> Recordings:
    """The recordings of a file. Raises RecordingError."""
    how = "`modelconform report LOG --format durations -o FILE` writes one"
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror or error}; {how}.") from error
    except (ValueError, RecursionError) as error:
        raise RecordingError(f"{path} is not a file of durations: {error}; {how}.") from error
    if not isinstance(content, dict):
        raise RecordingError(f"{path} is not a file of durations: it is no object of cells; {how}.")
    known = {}
    for name, value in content.items():
        try:
            # Whether something is in the cache of this machine, the key of another one doesn't tell.
            known[name] = replace(parsed(value), key="")
        except (ValueError, TypeError) as error:
            raise RecordingError(f"{path}: {name!r} is {value!r}, and not what a cell took; {how}.") from error
    return Recordings(known, _digest(known))


def parsed(value: object) -> Known:
    """An entry of a file. Raises ValueError or TypeError for what is none."""
    if isinstance(value, list):
        key, made, cached, *memory = value
        made_memory, at_last = memory or (0, 0)
        found = Known(str(key), float(made), float(cached), int(made_memory), int(at_last))
    else:  # an older version's, which kept one number
        found = Known("", float(value), float(value))  # type: ignore[arg-type]
    if not all(math.isfinite(n) and n >= 0 for n in (found.made, found.cached, found.made_memory, found.memory)):
        raise ValueError(value)
    return found


def stored(known: Known) -> list[Any]:
    """The inverse of `parsed`."""
    return [known.key, round(known.made, 3), round(known.cached, 3), known.made_memory, known.memory]


def render(log: Log) -> str:
    """The recordings of a log as a file, a cell a line in the order of their ids, for people who compare versions."""
    lines = [f"{json.dumps(name)}: {json.dumps(stored(known))}" for name, known in sorted(of_log(log).items())]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def of_log(log: Log) -> dict[str, Known]:
    """What the cells of a run took, a rerun as it ended; those that did not run took nothing that is known."""
    found = {}
    for cell, outcome in dict(log.cells).items():
        seconds = _seconds(outcome)
        if seconds is not None:
            memory = int(round((outcome.memory or 0) / _MEGABYTE) * _MEGABYTE)
            found[cell.id] = Known("", round(seconds, _DIGITS), round(seconds, _DIGITS), memory, memory)
    return found


def _seconds(outcome: Outcome) -> float | None:
    if outcome.duration is not None or outcome.is_silent:
        return outcome.duration
    stages = outcome.seconds
    made = 0.0 if outcome.cached else stages.get("export", 0.0)
    runs = _RUNS * sum(entry.get("seconds") or 0.0 for entry in outcome.inputs.values())
    return float(_BESIDES + made + stages.get("load", 0.0) + runs)


def _digest(known: Mapping[str, Known]) -> str:
    text = json.dumps([[name, *stored(one)] for name, one in sorted(known.items())])
    return hashlib.sha256(text.encode()).hexdigest()[:12]
