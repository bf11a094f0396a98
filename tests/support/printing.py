"""What a run prints at its end, without a run."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Sequence

from _pytest._io import TerminalWriter

from pytest_modelconform.report import matrix, terminal
from pytest_modelconform.report.terminal import Writer
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome


def rerun(cell: Cell) -> str:
    """The command that runs a cell again."""
    return f"pytest --modelconform {shlex.quote(cell.id)}"


def writer(width: int = 120, colour: bool = False) -> tuple[io.StringIO, Writer]:
    """A terminal of that width, and what was written to it."""
    file = io.StringIO()
    made = TerminalWriter(file)
    made.hasmarkup, made.fullwidth = colour, width
    return file, made


def printed(
    found: Sequence[tuple[Cell, Outcome]],
    width: int = 120,
    colour: bool = False,
    complete: bool = True,
    formats: Sequence[str] = (),
    runtimes: Sequence[str] = (),
) -> str:
    """The whole of it. formats, runtimes: in the order of the columns."""
    file, made = writer(width, colour)
    terminal.write(matrix.fold(found, formats, runtimes), made, rerun, complete)
    return file.getvalue()


def plain(text: str) -> str:
    """A text without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
