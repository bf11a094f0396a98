"""The matrix and the failures on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from ..terms.cell import EAGER, FULL, INFERENCE, Cell
from ..terms.outcome import FROM_THREADS, PREFIX, STYLES, Outcome, Verdict
from .matrix import Column, Matrix, Row, is_partly

_MOST_LINES = 6


class Writer(Protocol):
    """What we use of pytest's terminal writer."""

    hasmarkup: bool
    fullwidth: int

    def line(self, s: str = "", **markup: bool) -> None:
        """Write a line."""

    def write(self, msg: str, *, flush: bool = False, **markup: bool) -> None:
        """Write text."""


def write(matrix: Matrix, writer: Writer, command: Callable[[Cell], str], complete: bool = True) -> None:
    """Write matrix, totals and failures. `command`: what runs a cell again, see rerun.py."""
    _write_table(matrix, writer)
    _write_totals(matrix, writer)
    _write_notes(matrix, writer)
    if not complete:
        writer.line("The log is cut off: not all cells are in it.", yellow=True)
    for cell, outcome in matrix.failures:
        style = STYLES[outcome.verdict]
        stage = f" at stage {outcome.stage.value}" if outcome.stage else ""
        writer.line()
        writer.line(f"{cell.id}: {outcome.verdict.value}{stage}", **{style.markup: True, "bold": True})
        message = [line for line in outcome.message.splitlines() if not line.startswith(PREFIX)]
        lines = [line for line in (*message, *outcome.notes) if line.strip()]
        for line in lines[:_MOST_LINES]:
            writer.line(f"  {line}")
        if len(lines) > _MOST_LINES:
            writer.line(f"  … {len(lines) - _MOST_LINES} more lines above and in the log")
        for hint in outcome.hints:
            writer.line(f"  {PREFIX}{hint}")
        writer.line(f"  rerun: {command(cell)}")


def symbol(outcome: Outcome, colour: bool) -> str:
    """The symbol of a cell: its verdict's, with exceptions that the legend names."""
    if outcome.expected is False:
        return "!"
    style = STYLES[outcome.verdict]
    if is_partly(outcome):
        return "◐" if colour else "o"
    text = style.symbol if colour else style.letter
    # Lower case: known, and recorded in expected.toml.
    return text.lower() if outcome.expected else text


@dataclass(frozen=True)
class _Layout:
    """How columns are shown: heads (the model check's first), widths, the space before each, and whether bits are."""

    heads: Sequence[str]
    widths: Sequence[int]
    gap: str
    bits: bool
    named: bool

    @property
    def width(self) -> int:
        """Characters beside the row names."""
        return sum(width + len(self.gap) for width in self.widths)


def _layouts(matrix: Matrix) -> list[_Layout]:
    """From the roomiest to the narrowest: columns by name, by number, by number and without bits."""
    names = ["model", *(_runtime_name(column, matrix.columns) for column in matrix.columns)]
    numbers = ["model", *(str(i) for i in range(1, len(matrix.columns) + 1))]
    return [
        _Layout(names, [max(len(name), 4) for name in names], "  ", bits=True, named=True),
        _Layout(numbers, [5] + [4] * len(matrix.columns), "  ", bits=True, named=False),
        _Layout(numbers, [5] + [2] * len(matrix.columns), " ", bits=False, named=False),
    ]


def _text(outcome: Outcome, colour: bool, bits: bool) -> str:
    shown = bits and outcome.bits is not None and outcome.verdict in (Verdict.PASS, Verdict.IMPRECISE, Verdict.MISMATCH)
    return symbol(outcome, colour) + (f" {outcome.bits:.0f}" if shown else "")


def _write_table(matrix: Matrix, writer: Writer) -> None:
    if not matrix.rows:
        return
    names = [_row_name(row, matrix.rows) for row in matrix.rows]
    left = max(len("case"), *(len(name) for name in names))
    room = writer.fullwidth - left
    layouts = _layouts(matrix)
    layout = next((layout for layout in layouts if layout.width <= room), layouts[-1])
    for first, last in _chunks(layout, room):
        _write_chunk(matrix, writer, names, left, layout, range(first, last))
    if not layout.named:
        for i, column in enumerate(matrix.columns, 1):
            writer.line(f"{i:>4} {column[0]} · {_runtime_name(column, matrix.columns)}")


def _chunks(layout: _Layout, room: int) -> list[tuple[int, int]]:
    """Ranges of columns that fit beside the row names."""
    chunks, first, used = [], 0, 0
    for i, width in enumerate(layout.widths):
        if used and used + width + len(layout.gap) > room:
            chunks.append((first, i))
            first, used = i, 0
        used += width + len(layout.gap)
    return [*chunks, (first, len(layout.widths))]


def _write_chunk(
    matrix: Matrix, writer: Writer, names: Sequence[str], left: int, layout: _Layout, shown: range
) -> None:
    gap, widths = layout.gap, layout.widths
    if layout.named:
        formats = ["", *(column[0] for column in matrix.columns)]
        above = " " * left
        for name, group in groupby(shown, key=lambda i: formats[i]):
            span = sum(widths[i] + len(gap) for i in group)
            above += gap + _shortened(name, span - len(gap)).ljust(span - len(gap))
        writer.line(above.rstrip(), bold=True)
    heads = "".join(gap + layout.heads[i].ljust(widths[i]) for i in shown)
    writer.line(("case".ljust(left) + heads).rstrip(), bold=True)
    for row, name in zip(matrix.rows, names, strict=True):
        writer.write(name.ljust(left))
        for i in shown:
            outcome = row.check if i == 0 else row.cells.get(matrix.columns[i - 1], (None, None))[1]
            writer.write(gap)
            if outcome is None:
                writer.write(" " * widths[i])
                continue
            markup = {True: "yellow", False: "red", None: STYLES[outcome.verdict].markup}[outcome.expected]
            writer.write(_text(outcome, writer.hasmarkup, layout.bits).ljust(widths[i]), **{markup: True})
        writer.line()


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _row_name(row: Row, rows: Sequence[Row]) -> str:
    """The case's name; with its file where two files have a case of that name, and with a dtype other than float32."""
    twins = {other.file for other in rows if other.case == row.case}
    name = row.case if len(twins) == 1 else f"{row.file}::{row.case}"
    return name if row.dtype == "float32" else f"{name} {row.dtype}"


def _runtime_name(column: Column, columns: Sequence[Column]) -> str:
    name = column[1]
    if any(other[2] != "cpu" for other in columns):
        name += f" {column[2]}"
    words = [word for word, usual in ((column[3], FULL), (column[4], INFERENCE)) if word != usual]
    return " ".join([name, *words])


def _write_totals(matrix: Matrix, writer: Writer) -> None:
    shown = []
    for verdict, style in STYLES.items():
        if count := matrix.totals.get(verdict, 0):
            mark = style.symbol if writer.hasmarkup else style.letter
            shown.append(f"{mark} {count} {verdict.value}")
    total = sum(matrix.totals.values())
    writer.line(f"{total} cells: " + ", ".join(shown) + (f" ({matrix.expected} expected)" if matrix.expected else ""))
    if matrix.blocked:
        writer.line(f"{matrix.blocked} of the errors only follow from a model check ({EAGER}) that failed", yellow=True)
    for reason, count in matrix.absent.items():
        writer.line(f"unavailable ({count}): {reason}")
    for reason, columns in matrix.limits.items():
        names = ", ".join(f"{column[0]} · {_runtime_name(column, matrix.columns)}" for column in columns)
        writer.line(f"{names}: {reason}")


def _write_notes(matrix: Matrix, writer: Writer) -> None:
    """What the model checks that passed say; of other cells what is imprecise, and what several threads change.

    A line each.
    """
    for row in matrix.rows:
        for cell, outcome in row.cells.values():
            if outcome.verdict is Verdict.IMPRECISE and outcome.passed and outcome.expected is not False:
                said = f"{cell.name}: {outcome.verdict.value}: {outcome.message.partition(chr(10))[0]}"
                writer.line(_shortened(said, writer.fullwidth))
            if not outcome.failed and not (outcome.threads or {}).get("identical", True):
                for note in (note for note in outcome.notes if note.startswith(FROM_THREADS)):
                    writer.line(_shortened(f"{cell.name}: {note}", writer.fullwidth))
        checks = [row.check, *(outcome for cell, outcome in row.cells.values() if cell.is_check)]
        notes = [note for check in checks if check is not None and not check.failed for note in check.notes]
        for note in dict.fromkeys(notes):
            writer.line(_shortened(f"{_row_name(row, matrix.rows)}: {note.splitlines()[0]}", writer.fullwidth))


def legend(colour: bool) -> str:
    """What the symbols mean, on one line."""
    parts = [f"{style.symbol if colour else style.letter} {verdict.value}" for verdict, style in STYLES.items()]
    parts += [
        f"{'◐' if colour else 'o'} pass, but an input set is unsupported",
        "! not what expected.toml says",
        "yellow: as expected.toml says" if colour else "small letter: as expected.toml says",
        "number: effective bits",
    ]
    return "  ".join(parts)
