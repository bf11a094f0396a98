"""A log as CSV: a row a cell, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ..terms.cell import Cell
from ..terms.outcome import Outcome
from .guilty import blame_of, place
from .log import Log

# What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_STAGES = ("export", "load", "run")
_NUMBERS = ("bits", "reference_bits", "loss", "worst", "max_abs", "artifact_bytes", "duration", "memory")

COLUMNS = [
    "id", *(field.name for field in fields(Cell)), "verdict", "stage", "expected", *_NUMBERS,
    *(f"{stage}_seconds" for stage in _STAGES), "cached", "message", "notes", "hints", "guilty",
]  # fmt: skip


def render(log: Log) -> str:
    """The cells of a log, a rerun as it ended. Numbers are written in full, what isn't known is empty."""
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for cell, outcome in dict(log.cells).items():
        writer.writerow({name: _safe(value) for name, value in _row(cell, outcome).items()})
    return file.getvalue()


def _row(cell: Cell, outcome: Outcome) -> Mapping[str, Any]:
    row: dict[str, Any] = {"id": cell.id, **{field.name: getattr(cell, field.name) for field in fields(Cell)}}
    row |= {"verdict": outcome.verdict.value, "stage": outcome.stage.value if outcome.stage else None}
    row |= {name: getattr(outcome, name) for name in ("expected", *_NUMBERS, "cached", "message")}
    row |= {f"{stage}_seconds": outcome.seconds.get(stage) for stage in _STAGES}
    row |= {"notes": "\n".join(outcome.notes), "hints": "\n".join(outcome.hints)}
    blame = blame_of(outcome)
    row |= {"guilty": "\n".join(map(place, blame.guilty)) if blame is not None else None}
    return row


def _safe(value: Any) -> Any:
    """Text that no spreadsheet computes. Numbers stay numbers, negative ones as well."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
