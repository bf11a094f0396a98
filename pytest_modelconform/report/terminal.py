"""The matrix and the failures on the terminal."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from itertools import groupby
from typing import Protocol

from ..outcome import EAGER, STYLES, Outcome, Verdict
from .matrix import Column, Matrix, Row

_MOST_LINES = 6
_GAP = "  "


class Writer(Protocol):
    """What we use of pytest's terminal writer."""

    hasmarkup: bool
    fullwidth: int

    def line(self, s: str = "", **markup: bool) -> None:
        """Write a line."""

    def write(self, msg: str, *, flush: bool = False, **markup: bool) -> None:
        """Write text."""


def write(matrix: Matrix, writer: Writer, command: str, complete: bool = True) -> None:
    """Write matrix, totals and failures. `command`: what a rerun begins with, e.g. `pytest --modelconform`."""
    _write_table(matrix, writer)
    _write_totals(matrix, writer)
    if not complete:
        writer.line("The log is cut off: not all cells are in it.", yellow=True)
    for cell, outcome in matrix.failures:
        style = STYLES[outcome.verdict]
        stage = f" at stage {outcome.stage.value}" if outcome.stage else ""
        writer.line()
        writer.line(f"{cell.id}: {outcome.verdict.value}{stage}", **{style.markup: True, "bold": True})
        lines = [line for line in (*outcome.message.splitlines(), *outcome.notes) if line.strip()]
        for line in lines[:_MOST_LINES]:
            writer.line(f"  {line}")
        if len(lines) > _MOST_LINES:
            writer.line(f"  … {len(lines) - _MOST_LINES} more lines above and in the log")
        writer.line(f"  rerun: {command} {shlex.quote(cell.id)}")


def symbol(outcome: Outcome, colour: bool) -> str:
    """The symbol of a cell. A pass in which some input set is unsupported, and an expected failure, have their own."""
    style = STYLES[outcome.verdict]
    if outcome.verdict is Verdict.PASS and any(
        e["verdict"] == Verdict.UNSUPPORTED.value for e in outcome.inputs.values()
    ):
        return "◐" if colour else "o"
    text = style.symbol if colour else style.letter
    # Lower case: known, and recorded in expected.toml.
    return text.lower() if outcome.expected else text


def _text(outcome: Outcome, colour: bool) -> str:
    bits = (
        f" {outcome.bits:.0f}"
        if outcome.bits is not None and outcome.verdict in (Verdict.PASS, Verdict.MISMATCH)
        else ""
    )
    return symbol(outcome, colour) + bits


def _write_table(matrix: Matrix, writer: Writer) -> None:
    if not matrix.rows:
        return
    names = [_row_name(row, matrix.rows) for row in matrix.rows]
    left = max(len("case"), *(len(name) for name in names))
    heads = ["model", *(_runtime_name(column, matrix.columns) for column in matrix.columns)]
    widths = [max(len(head), 4) for head in heads]
    room = writer.fullwidth - left
    numbered = sum(width + len(_GAP) for width in widths) > room
    if numbered:
        heads = ["model", *(str(i) for i in range(1, len(matrix.columns) + 1))]
        widths = [5] + [4] * len(matrix.columns)
    chunks = _chunks(widths, room)
    for first, last in chunks:
        _write_chunk(matrix, writer, names, left, heads, widths, first, last, numbered)
    if numbered:
        for i, column in enumerate(matrix.columns, 1):
            writer.line(f"{i:>4} {column[0]} · {_runtime_name(column, matrix.columns)}")


def _chunks(widths: Sequence[int], room: int) -> list[tuple[int, int]]:
    """Ranges of columns that fit beside the row names."""
    chunks, first, used = [], 0, 0
    for i, width in enumerate(widths):
        if used and used + width + len(_GAP) > room:
            chunks.append((first, i))
            first, used = i, 0
        used += width + len(_GAP)
    return [*chunks, (first, len(widths))]


def _write_chunk(
    matrix: Matrix,
    writer: Writer,
    names: Sequence[str],
    left: int,
    heads: Sequence[str],
    widths: Sequence[int],
    first: int,
    last: int,
    numbered: bool,
) -> None:
    formats = ["", *(column[0] for column in matrix.columns)]
    if not numbered:
        above = " " * left
        for name, group in groupby(range(first, last), key=lambda i: formats[i]):
            span = sum(widths[i] + len(_GAP) for i in group)
            above += _GAP + name[: span - len(_GAP)].ljust(span - len(_GAP))
        writer.line(above.rstrip(), bold=True)
    writer.line(
        ("case".ljust(left) + "".join(_GAP + heads[i].ljust(widths[i]) for i in range(first, last))).rstrip(), bold=True
    )
    for row, name in zip(matrix.rows, names, strict=True):
        writer.write(name.ljust(left))
        for i in range(first, last):
            outcome = row.check if i == 0 else row.cells.get(matrix.columns[i - 1], (None, None))[1]
            writer.write(_GAP)
            if outcome is None:
                writer.write(" " * widths[i])
                continue
            style = STYLES[outcome.verdict]
            markup = "yellow" if outcome.expected else style.markup
            writer.write(_text(outcome, writer.hasmarkup).ljust(widths[i]), **{markup: True})
        writer.line()


def _row_name(row: Row, rows: Sequence[Row]) -> str:
    """The case's name; with its file where two files have a case of that name."""
    twins = sum(other.case == row.case for other in rows)
    return row.case if twins == 1 else f"{row.file}::{row.case}"


def _runtime_name(column: Column, columns: Sequence[Column]) -> str:
    name = column[1]
    if any(other[2] != "cpu" for other in columns):
        name += f" {column[2]}"
    if column[3] != "float32":
        name += f" {column[3]}"
    return name


def _write_totals(matrix: Matrix, writer: Writer) -> None:
    shown = []
    for verdict, style in STYLES.items():
        if count := matrix.totals.get(verdict, 0):
            mark = style.symbol if writer.hasmarkup else style.letter
            shown.append(f"{mark} {count} {verdict.value}")
    total = sum(matrix.totals.values())
    writer.line(
        f"{total} cells: " + ", ".join(shown) + (f" ({matrix.expected} expected, yellow)" if matrix.expected else "")
    )
    if matrix.blocked:
        writer.line(f"{matrix.blocked} of the errors only follow from a model check ({EAGER}) that failed", yellow=True)
    for reason, count in matrix.absent.items():
        writer.line(f"unavailable ({count}): {reason}")


def legend(colour: bool) -> str:
    """What the symbols mean, on one line."""
    parts = [f"{s.symbol if colour else s.letter} {verdict.value}" for verdict, s in STYLES.items()]
    return "  ".join(
        [*parts, f"{'◐' if colour else 'o'} pass, but an input set is unsupported", "number: effective bits"]
    )
