"""Several logs as one: the shards of a run, or runs of different parts. A pure function of the logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from ..terms.cell import Cell
from ..terms.outcome import Outcome, Verdict
from .log import Log

# Verdicts that say nothing of a cell, as in expected.toml: another log's stands for it.
_SILENT = (Verdict.UNAVAILABLE, Verdict.NOT_RUN)
# What has to be the same, since it changes results; and, by name, the versions in these tables.
_SAME = ("pytest-modelconform", "python")
_VERSIONS = ("packages", "environments")


class MergeError(ValueError):
    """Logs that can't be one. The message names the files, and what differs."""


def merge(logs: Sequence[tuple[str, Log]]) -> Log:
    """Join logs, each with the name of its file for messages. Raises MergeError.

    The result is complete if every log is and no shard is missing. Cells that no log has, but that a shard's log says
    there are, are `not-run`.
    """
    if not logs:
        raise MergeError("there is no log to merge")
    environment = _environment(logs)
    cells = _cells(logs)
    lacking = _lacking(logs)
    by_shard = {cell: index for _, log in logs if log.shard for cell, index in log.shard.cells.items()}
    count = next((log.shard.count for _, log in logs if log.shard), 0)
    for cell, index in by_shard.items():
        if cell not in cells:
            why = "has no log here" if index in _missing(logs) else "did not come to it"
            cells[cell] = Outcome(Verdict.NOT_RUN, None, f"not run: shard {index} of {count} {why}")
    complete = not lacking and all(log.complete for _, log in logs)
    environment["merged"] = [name for name, _ in logs]
    if lacking:
        environment["missing"] = lacking
    return Log(environment, list(cells.items()), complete)


def _missing(logs: Sequence[tuple[str, Log]]) -> list[int]:
    shards = [log.shard for _, log in logs if log.shard]
    return sorted({*range(1, shards[0].count + 1)} - {shard.index for shard in shards}) if shards else []


def _lacking(logs: Sequence[tuple[str, Log]]) -> list[str]:
    """What is missing, in words. Raises MergeError for shards that are not of one run."""
    sharded = [(name, log.shard) for name, log in logs if log.shard]
    for (first, one), (second, other) in pairwise(sharded):
        if one.count != other.count:
            raise MergeError(f"{first} is {one}, {second} is {other}: these are not shards of one run")
        if one.recordings != other.recordings:
            by, by_other = (
                f"recordings {found.recordings}" if found.recordings else "estimates" for found in (one, other)
            )
            raise MergeError(
                f"{first} was split by {by}, {second} by {by_other}, so that cells may be in both or in none: run the "
                "shards again, all with the same file for --modelconform-durations"
            )
    whole = [(name, shard) for name, shard in sharded if shard.cells]
    for (first, one), (second, other) in pairwise(whole):
        if one.cells != other.cells:
            strange = next(iter(dict(one.cells.items() ^ other.cells.items())))
            names = f"{first} and {second}"
            raise MergeError(f"{names} are not shards of one run: {strange.id} was collected in one of them only")
    words = [f"shard {index} of {sharded[0][1].count}" for index in _missing(logs)]
    words += [f"the end of {name} (cut off)" for name, log in logs if not log.complete]
    return [*words, *(text for _, log in logs for text in log.environment.get("missing", ()))]


def _cells(logs: Sequence[tuple[str, Log]]) -> dict[Cell, Outcome]:
    cells: dict[Cell, Outcome] = {}
    source: dict[Cell, str] = {}
    for name, log in logs:
        for cell, outcome in dict(log.cells).items():
            known = cells.get(cell)
            if known is None or (known.verdict in _SILENT and not _is_less(outcome, known)):
                cells[cell], source[cell] = outcome, name
            elif outcome.verdict not in _SILENT and _said(outcome) != _said(known):
                raise MergeError(
                    f"{cell.id} is {_said(known)} in {source[cell]} and {_said(outcome)} in {name}: "
                    "run it once, or leave out one of the logs"
                )
            elif known.blame is None and outcome.blame is not None and _said(outcome) == _said(known):
                cells[cell] = replace(known, blame=outcome.blame)
    return cells


def _is_less(outcome: Outcome, known: Outcome) -> bool:
    """Whether an outcome says less than one that says nothing of the cell: not run at all."""
    return outcome.verdict is Verdict.NOT_RUN and known.verdict is Verdict.UNAVAILABLE


def _said(outcome: Outcome) -> str:
    stage = f" at stage {outcome.stage.value}" if outcome.stage else ""
    return outcome.verdict.value + stage


def _environment(logs: Sequence[tuple[str, Log]]) -> dict[str, Any]:
    """What all logs say of versions, and of the rest what the first one says. Raises MergeError."""
    merged = dict(logs[0][1].environment)
    for key in _SAME:
        _agree(key, [(name, log.environment.get(key)) for name, log in logs])
    for table in _VERSIONS:
        tables = [(name, log.environment.get(table, {})) for name, log in logs]
        merged[table] = {}
        for key in sorted({key for _, found in tables for key in found}):
            # A log lists what its formats and runtimes need, and no more.
            merged[table][key] = _agree(key, [(name, found[key]) for name, found in tables if key in found])
    options = [log.environment.get("options", {}) for _, log in logs]
    merged["options"] = {**merged.get("options", {}), **_joined(options)}
    machines = [str(log.environment.get("processor", "")) for _, log in logs]
    merged["processor"] = "; ".join(dict.fromkeys(filter(None, machines)))
    merged["date"] = max(str(log.environment.get("date", "")) for _, log in logs)
    return merged


def _joined(options: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Lists of names, in the order in which they come."""
    joined: dict[str, list[Any]] = {}
    for key in ("formats", "runtimes", "devices", "precisions"):
        lists = [found[key] for found in options if isinstance(found.get(key), list)]
        joined[key] = list(dict.fromkeys(str(name) for names in lists for name in names))
    return joined


def _agree(what: str, found: Sequence[tuple[str, Any]]) -> Any:
    first, value = found[0]
    for name, other in found[1:]:
        if other != value:
            raise MergeError(
                f"{first} has {what} {_shown(value)}, {name} has {_shown(other)}: results of different versions can't "
                "be merged; `modelconform diff` compares them"
            )
    return value


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)
