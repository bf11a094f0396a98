"""The matrix itself: cases down, formats and runtimes across; or, for few cases, the other way round."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from ...terms.outcome import Outcome
from ..matrix import Matrix, Row
from .heads import CHECK, FOLLOWS, Head, RowNames, heads
from .layout import Block, arranged
from .signs import legend, markup, square
from .text import Writer, say

_CASE = "case"
# Beside longer names of rows there is no room: they get a line of their own.
_LEAST_ROOM = 16
# As long as the matrix with cases across is no longer than that, it is easier to read than names that stand upright.
_A_SCREEN = 32


def write(matrix: Matrix, writer: Writer) -> None:
    """The matrix and what its signs mean."""
    if not matrix.rows:
        return
    columns = heads(matrix)
    names = [*map(RowNames(matrix.rows), matrix.rows)]
    left = max(len(_CASE), *map(len, names))
    is_stacked = writer.fullwidth - left < _LEAST_ROOM
    if is_stacked:
        left = len(_CASE)
    cell = _widest(matrix, writer.hasmarkup)
    blocks = arranged(columns, cell, writer.fullwidth - left)
    height = sum(block.height + len(names) for block in blocks)
    across = _Across(matrix, columns, names, cell)
    if blocks[0].style.turned and across.width <= writer.fullwidth and across.height <= max(height, _A_SCREEN):
        across.write(writer)
        bits, follows = True, False
    else:
        for i, block in enumerate(blocks):
            if i:
                writer.line()
            _write_block(matrix, writer, block, names, left, is_stacked)
        bits = blocks[0].style.bits
        follows = any(n.startswith(FOLLOWS) for block in blocks for group in block.groups for n in group.names)
    writer.line()
    _write_legend(legend(matrix, writer.hasmarkup, bits, follows), writer)


def _outcome(row: Row, head: Head) -> Outcome | None:
    return row.check if head.column == CHECK else row.cells.get(head.column, (None, None))[1]


def _widest(matrix: Matrix, colour: bool) -> int:
    found = [outcome for row in matrix.rows for _, outcome in row.cells.values()]
    found += [row.check for row in matrix.rows if row.check is not None]
    return max(len(square(outcome, colour, bits=True)) for outcome in found)


def _write_block(
    matrix: Matrix, writer: Writer, block: Block, names: Sequence[str], left: int, is_stacked: bool
) -> None:
    between = " " * block.style.between
    gap = " " * block.style.gap
    for line in zip_longest(*(group.title for group in block.groups), fillvalue=""):
        titles = (between + text.ljust(group.width) for text, group in zip(line, block.groups, strict=True))
        writer.line((" " * left + "".join(titles)).rstrip(), bold=True)
    if block.style.turned:
        rule = "─" if writer.hasmarkup else "-"
        writer.line(" " * left + "".join(between + rule * group.width for group in block.groups), light=True)
    height = max(len(name) for group in block.groups for name in group.names) if block.style.turned else 1
    for i in range(height):
        text = (_CASE if i == height - 1 else "").ljust(left)
        for group in block.groups:
            cells = []
            for name, width in zip(group.names, group.widths, strict=True):
                # Turned names end at their cells.
                shown = name.rjust(height)[i] if block.style.turned else name
                cells.append(shown.ljust(width))
            text += between + gap.join(cells).ljust(group.width)
        writer.line(text.rstrip(), bold=True)
    for row, name in zip(matrix.rows, names, strict=True):
        if is_stacked:
            if all(_outcome(row, head) is None for group in block.groups for head in group.heads):
                continue
            say(writer, name)
        _write_row(row, writer, block, "" if is_stacked else name, left)


def _write_row(row: Row, writer: Writer, block: Block, name: str, left: int) -> None:
    writer.write(name)
    # Spaces are written when something follows them.
    owed = left - len(name)
    for group in block.groups:
        owed += block.style.between
        used = 0
        for i, (head, width) in enumerate(zip(group.heads, group.widths, strict=True)):
            if i:
                owed, used = owed + block.style.gap, used + block.style.gap
            outcome = _outcome(row, head)
            used += width
            if outcome is None:
                owed += width
                continue
            text = square(outcome, writer.hasmarkup, block.style.bits)
            writer.write(" " * owed)
            writer.write(text, **markup(outcome))
            owed = width - len(text)
        owed += group.width - used
    writer.line()


class _Across:
    """The matrix with cases across: a line a column, for few cases."""

    _GAP = 2

    def __init__(self, matrix: Matrix, columns: Sequence[Head], names: Sequence[str], cell: int) -> None:
        self._matrix = matrix
        self._columns = columns
        self._names = names
        self._formats = max(len("format"), *(len(head.group) for head in columns))
        self._runtimes = max(len("runtime"), *(len(head.name) for head in columns))
        self._widths = [max(cell, len(name)) for name in names]

    @property
    def width(self) -> int:
        """Characters."""
        return self._formats + self._runtimes + self._GAP * (1 + len(self._widths)) + sum(self._widths)

    @property
    def height(self) -> int:
        """Lines."""
        return len(self._columns) + 1

    def write(self, writer: Writer) -> None:
        """All of it."""
        gap = " " * self._GAP
        heads_above = ["format".ljust(self._formats), "runtime".ljust(self._runtimes)]
        above = gap.join([*heads_above, *(n.ljust(w) for n, w in zip(self._names, self._widths, strict=True))])
        writer.line(above.rstrip(), bold=True)
        last = ""
        for head in self._columns:
            shown = "" if head.group == last else head.group
            last = head.group
            writer.write(shown.ljust(self._formats) + gap, bold=True)
            writer.write(head.name.ljust(self._runtimes))
            owed = 0
            for row, width in zip(self._matrix.rows, self._widths, strict=True):
                outcome = _outcome(row, head)
                text = "" if outcome is None else square(outcome, writer.hasmarkup, bits=True)
                if outcome is not None:
                    writer.write(" " * (owed + self._GAP))
                    writer.write(text, **markup(outcome))
                    owed = width - len(text)
                else:
                    owed += width + self._GAP
            writer.line()


def _write_legend(parts: Sequence[str], writer: Writer) -> None:
    """In as few lines as it takes; no part is broken."""
    lines = [""]
    for part in parts:
        more = f"   {part}" if lines[-1] else part
        if lines[-1] and len(lines[-1]) + len(more) > writer.fullwidth:
            lines.append(part)
        else:
            lines[-1] += more
    for line in lines:
        say(writer, line) if len(line) > writer.fullwidth else writer.line(line)
