"""The matrix and the failures on the terminal.

`heads.py` names the columns, `layout.py` decides how they are arranged, `grid.py` prints them; `below.py` and
`failures.py` print what stands below the matrix, in this order. `signs.py` says what stands in a cell, and what it
means.
"""

from __future__ import annotations

from collections.abc import Callable

from ...terms.cell import Cell
from ..matrix import Matrix
from . import below, failures, grid
from .text import Writer

__all__ = ["Writer", "write"]


def write(matrix: Matrix, writer: Writer, command: Callable[[Cell], str], complete: bool = True, log: str = "") -> None:
    """Write the matrix with its legend, the totals, what is to say of single columns and cases, and the failures.

    command: what runs a cell again; its last word is the cell. log: the run's, if later commands have to be told.
    """
    grid.write(matrix, writer)
    below.write(matrix, writer)
    if not complete:
        writer.line("The log is cut off: not all cells are in it.", yellow=True)
    failures.write(matrix, writer, command, log)
