"""Exports that failed as `expected.toml` records, kept as artifacts are: the same exporter would refuse the same again.

Only what an exporter answered itself is kept, under the key that its artifact would have. A crash, a time limit, or an
error of the machine (memory, disk) may be another one tomorrow, and what nobody expects is tried in each run.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec

from ..cache import store
from ..cache.inventory import touch
from ..cache.store import Cache
from ..references.content import Packages
from ..terms.outcome import Outcome, Stage, Verdict
from ..workers import lookups
from . import typed
from .stages import StageFailure
from .worker import WorkerProblem, WorkerRefused

_FILE = "refused.json"
# Exceptions that tell of the machine. Of the system's errors only those with a number do: inspect raises an OSError
# where a function has no source.
_OF_THE_MACHINE = ("MemoryError", "TimeoutError")
# How the case host begins what it says of a case's own export, whose files may be others tomorrow under the same key.
_OF_THE_CASE = "case "
_BEGINS = "[Errno "
_OF_A_FULL_MACHINE = (
    *("No space left on device", "Disk quota exceeded", "Cannot allocate memory", "out of memory"),
    "Killed signal terminated program",  # a compiler's words for its own end by the kernel
)


class _Refused(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept. packages: a record of workers/lookups.py."""

    message: str
    packages: Packages


class Refused(StageFailure):
    """A failure at stage export that an earlier run has seen."""

    def outcome(self) -> Outcome:
        """As the outcome of a cell, which says so."""
        return replace(super().outcome(), cached=True)


def read(cache: Cache, key: str) -> Refused | None:
    """The refusal that is kept under an artifact's key; None where packages are others now."""
    path = _place(cache, key)
    try:
        found = typed.cached(store.read_json(path), _Refused)
    except (OSError, ValueError):
        return None
    if found is None or not lookups.unchanged(found.packages):
        return None
    touch(path.parent)
    return Refused(Stage.EXPORT, Verdict.ERROR, found.message)


def keep(cache: Cache, key: str, failure: StageFailure, packages: Callable[[], Packages]) -> None:
    """Keep a refusal, if it is one. packages: asks the case host that refused for its record.

    Never raises: it is the next run's time that is saved.
    """
    if not _is_the_exporters(failure):
        return
    with contextlib.suppress(OSError, WorkerProblem):
        said = _Refused(message=str(failure), packages=packages())
        if _place(cache, key).exists():  # with other packages, or another message
            cache.forget("refusals", key)
        cache.produce("refusals", key, lambda folder: _write(folder, said))


def _write(folder: Path, said: _Refused) -> None:
    (folder / _FILE).write_text(json.dumps(typed.json_of(said)))


def _place(cache: Cache, key: str) -> Path:
    return cache.place("refusals", key) / _FILE


def _is_the_exporters(failure: StageFailure) -> bool:
    problem = failure.__cause__
    if failure.stage is not Stage.EXPORT or not isinstance(problem, WorkerRefused) or problem.exhausted:
        return False
    said = str(problem)
    if said.startswith(_OF_THE_CASE):
        return False
    is_numbered = said.removeprefix(f"{problem.kind}: ").startswith(_BEGINS)
    return not (problem.kind in _OF_THE_MACHINE or is_numbered or any(word in said for word in _OF_A_FULL_MACHINE))
