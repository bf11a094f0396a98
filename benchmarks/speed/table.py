"""The table of a measurement, as text and as JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

_WIDTH = 80
_NOTE: Mapping[str, Any] = {"initial_indent": "    ", "subsequent_indent": "    "}


@dataclass(frozen=True)
class Row:
    """One measurement.

    value: in `unit`; None where it could not be measured, and `note` says why. goal: the most that it should be.
    details: for JSON, whatever else was measured.
    """

    section: str
    name: str
    value: float | None
    unit: str = "s"
    goal: float | None = None
    note: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def of_goal(self) -> float | None:
        """The value as a part of the goal: 1 or less is met."""
        return self.value / self.goal if self.value is not None and self.goal else None

    @property
    def shown(self) -> str:
        """The value with its unit."""
        return "-" if self.value is None else _number(self.value, self.unit)


def line(row: Row) -> str:
    """A row as text: name, value, goal, value by goal; then its note, below."""
    goal = _number(row.goal, row.unit) if row.goal is not None else ""
    part = f"{row.of_goal:.2f}{'' if row.of_goal <= 1 else ' !'}" if row.of_goal is not None else ""
    head = f"{row.name:<47} {row.shown:>11} {goal:>11} {part:<7}".rstrip()
    notes = [textwrap.fill(said, _WIDTH, **_NOTE) for said in row.note.splitlines()]
    return "\n".join([head, *notes])


HEAD = f"{'':<47} {'measured':>11} {'goal':>11} of goal"


def text(rows: Sequence[Row], about: Mapping[str, Any]) -> str:
    """All rows by section, below what machine and versions they are of."""
    lines = [f"{about['date']}, {about['cores']} cores of {about['processor']}", _versions(about), "", HEAD]
    section = ""
    for row in rows:
        if row.section != section:
            section = row.section
            lines += ["", section]
        lines.append(line(row))
    missed = [row for row in rows if row.of_goal is not None and row.of_goal > 1]
    unmeasured = [row for row in rows if row.value is None]
    count = len(rows) - len(unmeasured)
    lines += ["", f"{count} measured, {len(missed)} beyond their goals (!), {len(unmeasured)} not measured (-)"]
    return "\n".join(lines)


def as_json(rows: Sequence[Row], about: Mapping[str, Any]) -> str:
    """The same, with details."""
    found = [{**asdict(row), "of_goal": row.of_goal} for row in rows]
    return json.dumps({"about": about, "rows": found}, indent=1)


def _versions(about: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in about["versions"].items() if version)


def _number(value: float, unit: str) -> str:
    digits = 2 if unit in ("", "×") or value < 1 else 1 if value < 100 else 0
    return f"{value:.{digits}f} {unit}".rstrip()
