"""Cells and outcomes as plain dicts, for logs, reports and pytest's own, and back."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import MISSING, fields
from enum import Enum
from typing import Any

from .cell import Cell
from .outcome import Outcome, Stage, Verdict
from .wording import printable


def to_record(cell: Cell, outcome: Outcome) -> dict[str, Any]:
    """One cell of the JSON report and of the log."""
    # Not asdict(), which copies all that `plain` copies anyway.
    record: dict[str, Any] = {"id": cell.id, **vars(cell), **vars(outcome)}
    record["verdict"] = outcome.verdict.value
    record["stage"] = outcome.stage.value if outcome.stage else None
    return plain(record)  # type: ignore[no-any-return]


def from_record(record: dict[str, Any]) -> tuple[Cell, Outcome]:
    """Inverse of `to_record`. Raises KeyError or ValueError for a record that is none."""
    # Logs of before there were precisions and tasks have none.
    cell = Cell(**{f.name: record[f.name] for f in fields(Cell) if f.default is MISSING or f.name in record})
    values = {f.name: record[f.name] for f in fields(Outcome) if f.name in record}
    values["verdict"] = Verdict(record["verdict"])
    values["stage"] = Stage(record["stage"]) if record["stage"] else None
    values["notes"] = tuple(record.get("notes", ()))
    values["hints"] = tuple(record.get("hints", ()))
    values["tags"] = tuple(record.get("tags", ()))
    return cell, Outcome(**values)


def plain(value: Any) -> Any:
    """`value` with only plain JSON types in it; non-finite numbers become None, tuples lists.

    Raises TypeError for anything that has no plain form.
    """
    if value is None or type(value) in (bool, int):
        return value
    if type(value) is str:
        return printable(value)
    if type(value) is float:
        return value if math.isfinite(value) else None
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        # The keys of thousands of records are the same few.
        return {sys.intern(str(k)): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    raise TypeError(f"{type(value).__name__} has no place in a record: {value!r}")
