"""The page in front of the parts of a large report: totals, problems, parts, columns, and a search for any case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from markupsafe import Markup

from ...terms.cell import Cell
from ...terms.outcome import Outcome
from ..entries import Entry, entries, title
from ..log import Log
from ..matrix import fold
from . import frame
from .parts import Part
from .payload import about, embedded, square, verdicts

SCRIPTS = ("words.js", "frame.js", "overview.js")
# Problems that are listed: one with its own message each. What is left out is counted.
_MOST_PROBLEMS = 200
_LONGEST = 300


def pieces(log: Log, page_title: str, parts: Sequence[Part], folder: str) -> Iterator[str]:
    """The page piece by piece. folder: what the parts are in, as seen from the page."""
    data = embedded({"title": page_title, **_data(log, parts, folder)})
    return frame.framed("overview.html.jinja", SCRIPTS, page_title, data=Markup(data))


def _data(log: Log, parts: Sequence[Part], folder: str) -> dict[str, Any]:
    options = log.environment.get("options", {})
    folded = fold(log.cells, options.get("formats", ()), options.get("runtimes", ()))
    part_of = {(cell.file, cell.case): number for number, part in enumerate(parts) for cell, _ in part.cells}
    tags: dict[tuple[str, str], dict[str, None]] = {}
    for cell, outcome in log.cells:
        tags.setdefault((cell.file, cell.case), {}).update(dict.fromkeys(outcome.tags))
    tag_sets = list(dict.fromkeys(tuple(found) for found in tags.values()))
    places = {found: place for place, found in enumerate(tag_sets)}
    files = list(dict.fromkeys(row.file for row in folded.rows))
    file_places = {file: place for place, file in enumerate(files)}
    problems = entries(folded)
    return {
        "about": about(log),
        "verdicts": verdicts(),
        "parts": [
            {
                "name": part.name,
                "href": f"{folder}/{part.file}",
                "rows": len({(cell.file, cell.case, cell.dtype) for cell, _ in part.cells}),
                "counts": _counts(dict(part.cells).items()),
            }
            for part in parts
        ],
        "columns": [
            {"name": list(column), "counts": _counts(row.cells[column] for row in folded.rows if column in row.cells)}
            for column in folded.columns
        ],
        "files": files,
        "tags": tag_sets,
        # Each as file, case, dtype, part, tags.
        "rows": [
            [
                file_places[row.file],
                row.case,
                row.dtype,
                part_of[row.file, row.case],
                places[tuple(tags[row.file, row.case])],
            ]
            for row in folded.rows
        ],
        "problems": [_problem(entry, part_of[entry.cell.file, entry.cell.case]) for entry in problems[:_MOST_PROBLEMS]],
        "more": max(0, len(problems) - _MOST_PROBLEMS),
    }


def _counts(cells: Iterable[tuple[Cell, Outcome]]) -> list[list[int]]:
    """Verdict, state (see `payload.square`), and how many cells have both."""
    found = Counter(tuple(square(outcome)[:2]) for _, outcome in cells)
    return [[verdict, state, count] for (verdict, state), count in sorted(found.items())]


def _problem(entry: Entry, part: int) -> dict[str, Any]:
    said = entry.outcome.message.strip().partition("\n")[0]
    return {
        "id": entry.cell.id,
        "part": part,
        "square": square(entry.outcome)[:2],
        "title": title(entry.outcome),
        "message": said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…",
        "also": len(entry.also),
        "following": entry.following,
    }
