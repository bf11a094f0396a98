"""What is not as expected: each cause once, with the commands that a reader wants next."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from ...terms.cell import INFERENCE, Cell
from ...terms.outcome import PREFIX, STYLES, Outcome, Stage
from ..entries import Entry, entries, title
from ..matrix import Matrix
from .text import Writer, counted, say

_MOST_LINES = 6
_INDENT = "  "
_UPSTREAM = (Stage.EXPORT, Stage.LOAD, Stage.RUN, Stage.COMPARE)


def write(matrix: Matrix, writer: Writer, command: Callable[[Cell], str], log: str = "") -> None:
    """An entry a cause. command: what runs a cell again. log: see `repro`."""
    for entry in entries(matrix):
        _entry(entry, writer, command, log)


def repro(rerun: str, log: str = "") -> str:
    """The command that writes a report of a cell for the project that its failure is of.

    rerun: what runs the cell again; its last word is the cell, as it is named in the current folder. log: the run's,
    where it is not in the place in which logs are looked for.
    """
    named = ["--log", log] if log else []
    return shlex.join(["modelconform", "repro", shlex.split(rerun)[-1], "-o", "repro", *named])


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
    for hint in outcome.hints:
        say(writer, f"{PREFIX}{hint}", _INDENT)
    if entry.also:
        say(writer, f"also in: {', '.join(_others(entry))}", _INDENT)
    if entry.following:
        more = "1 other cell fails" if entry.following == 1 else f"{entry.following} other cells fail"
        say(writer, f"{more} only because of this", _INDENT)
    # Commands are for copying: they are not wrapped.
    writer.line(f"{_INDENT}rerun: {command(entry.cell)}")
    if is_upstream(entry.cell, outcome):
        writer.line(f"{_INDENT}to report it: {repro(command(entry.cell), log)}")


def message(outcome: Outcome) -> list[str]:
    """The lines of a message and its notes, without those that are empty, and without the likely causes."""
    found = [line for line in outcome.message.splitlines() if not line.startswith(PREFIX)]
    return [line for line in (*found, *outcome.notes) if line.strip()]


def is_upstream(cell: Cell, outcome: Outcome) -> bool:
    """Whether a failure may be an exporter's or a runtime's, for whose project `modelconform repro` writes a folder."""
    return outcome.failed and not cell.is_check and cell.task == INFERENCE and outcome.stage in _UPSTREAM


def _others(entry: Entry) -> list[str]:
    """What tells the other cells from the first one: their ids within its case, or their names."""
    same = all((cell.file, cell.case) == (entry.cell.file, entry.cell.case) for cell in entry.also)
    if not same:
        return [cell.name for cell in entry.also]
    return [cell.name.removeprefix(cell.case) for cell in entry.also]
