"""What is not as expected: each cause once, with the commands that a reader wants next."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from ...terms.cell import Cell
from ...terms.outcome import PREFIX, REMEDY, STYLES, Outcome
from .. import guilty
from ..entries import Entry, entries, title
from ..matrix import Matrix
from ..plural import counted
from ..said import first_line
from ..upstream import blame, is_upstream, repro
from .text import Writer, say

_MOST_LINES = 6
_INDENT = "  "


def write(matrix: Matrix, writer: Writer, command: Callable[[Cell], str], log: str = "") -> None:
    """An entry a cause. command: what runs a cell again. its last word is the cell. log: see `repro`."""
    for entry in entries(matrix):
        _entry(entry, writer, command, log)


def _entry(entry: Entry, writer: Writer, command: Callable[[Cell], str], log: str) -> None:
    outcome = entry.outcome
    colour = "red" if outcome.expected is False else STYLES[outcome.verdict].markup
    writer.line()
    writer.line(f"{entry.cell.id}: {title(outcome)}", **{colour: True, "bold": True})
    lines = message(outcome)
    for line in lines[:_MOST_LINES]:
        say(writer, line, _INDENT)
    if len(lines) > _MOST_LINES:
        writer.line(f"{_INDENT}… {counted(len(lines) - _MOST_LINES, 'more line')} above and in the log")
    for hint in outcome.hint_lines:
        say(writer, hint, _INDENT)
    for line in guilty.lines(entry.blame) if entry.blame is not None else ():
        say(writer, line, _INDENT, bold=line.startswith(guilty.FOUND))
    if entry.also:
        say(writer, f"also in: {', '.join(_others(entry))}", _INDENT)
    if entry.following:
        more = "1 other cell fails" if entry.following == 1 else f"{entry.following} other cells fail"
        say(writer, f"{more} only because of this", _INDENT)
    # Commands are for copying: they are not wrapped.
    rerun = command(entry.cell)
    writer.line(f"{_INDENT}rerun: {rerun}")
    if is_upstream(entry.cell, outcome):
        cell = shlex.split(rerun)[-1]
        report = blame(cell) if entry.blame is not None and entry.blame.case else repro(cell, log)
        writer.line(f"{_INDENT}to report it: {report}")


def message(outcome: Outcome) -> list[str]:
    """The lines of a message and its notes, without those that are empty, and without the hints."""
    found = [line for line in outcome.message.splitlines() if not line.startswith((PREFIX, REMEDY))]
    # Of notes the first lines: what a library said of a refused input set is long, and in the log.
    # Nor the marks below a line of code, which wrapping would move.
    return [line for line in (*found, *map(first_line, outcome.notes)) if line.strip(" ^~")]


def _others(entry: Entry) -> list[str]:
    """What tells the other cells from the first one: their ids within its case, or their names."""
    same = all((cell.file, cell.case) == (entry.cell.file, entry.cell.case) for cell in entry.also)
    if not same:
        return [cell.name for cell in entry.also]
    return [cell.name.removeprefix(cell.case) for cell in entry.also]
