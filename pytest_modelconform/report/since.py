"""Since which run, and so since which versions, a cell fails at an operator: from the logs of runs, in their order."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..terms.outcome import Verdict
from .diff import said_versions
from .guilty import keys
from .log import Log

# Of what changed between two runs; of more, it is said how many.
_MOST_VERSIONS = 4
# What a cell does by now at an operator that it has failed at.
FAILS, PASSES, ANOTHER = ("fails", "passes", "fails at another one")
# What is no version of anything that exports or runs.
_MACHINE = ("processor", "platform")


@dataclass(frozen=True)
class Seen:
    """What a run tells of its cells. guilty: by cell id, what it fails at. right: ids of cells that pass.

    versions: what the run's log says of them, by name.
    """

    guilty: Mapping[str, Sequence[str]] = field(default_factory=dict)
    right: frozenset[str] = frozenset()
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Since:
    """An operator that a cell fails at, or failed at.

    first, last: places of runs. before: the last run before them that tells more: the cell passes, or fails at another
    operator. now: `FAILS`, `PASSES` where a later run does, `ANOTHER` where a later run names other operators only.
    changed: which versions differ between `before` and `first`, in words; "" where no run before tells.
    """

    cell: str
    what: str
    first: int
    last: int
    before: int | None
    now: str
    changed: str


def seen(log: Log) -> Seen:
    """What a log tells."""
    guilty, right = {}, set()
    for cell, outcome in dict(log.cells).items():
        if outcome.verdict is Verdict.PASS:
            right.add(sys.intern(cell.id))
        elif found := keys(outcome):
            guilty[sys.intern(cell.id)] = tuple(map(sys.intern, found))
    versions = {name: text for name, text in said_versions(log).items() if name not in _MACHINE}
    return Seen(guilty, frozenset(right), versions)


def since(runs: Sequence[Seen]) -> list[Since]:
    """Of all cells and operators: what still fails first, then by cell. runs: in the order of their dates.

    A run in which a cell fails and nobody looked for the operator, or that does not have the cell, changes nothing.
    """
    ids = sorted({cell for run in runs for cell in run.guilty})
    found = [entry for cell in ids for entry in _of_cell(cell, runs)]
    return sorted(found, key=lambda entry: entry.now != FAILS)


def _of_cell(cell: str, runs: Sequence[Seen]) -> Iterator[Since]:
    # By operator, where its present stretch of runs begins and ends so far.
    spans: dict[str, tuple[int, int, int | None]] = {}
    before: int | None = None
    for place, run in enumerate(runs):
        if cell in run.right:
            yield from (_ended(cell, what, span, runs, PASSES) for what, span in spans.items())
            spans = {}
        named = run.guilty.get(cell, ())
        for what in [what for what in spans if named and what not in named]:
            yield _ended(cell, what, spans.pop(what), runs, ANOTHER)
        for what in named:
            first, _, known = spans.get(what, (place, place, before))
            spans[what] = (first, place, known)
        if named or cell in run.right:
            before = place
    yield from (_ended(cell, what, span, runs, FAILS) for what, span in spans.items())


def _ended(cell: str, what: str, span: tuple[int, int, int | None], runs: Sequence[Seen], now: str) -> Since:
    first, last, before = span
    changed = "" if before is None else _changed(runs[before].versions, runs[first].versions)
    return Since(cell, what, first, last, before, now, changed)


def _changed(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Versions that differ, in words; what only one of the logs names, the other had no use for."""
    names = [name for name in sorted(old) if name in new and old[name] != new[name]]
    said = [f"{name} {old[name]} → {new[name]}" for name in names[:_MOST_VERSIONS]]
    more = [f"and {len(names) - _MOST_VERSIONS} more"] if len(names) > _MOST_VERSIONS else []
    return ", ".join([*said, *more]) or "the same versions"
