"""The matrix and the failures on the terminal.

`heads.py` names the columns, `layout.py` decides how they are arranged, `grid.py` prints them; `below.py` and
`failures.py` print what stands below the matrix, in this order. `signs.py` says what stands in a cell, and what it
means.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass

from ...terms.cell import Cell
from ..matrix import Matrix
from . import below, failures, grid
from .text import Writer

__all__ = ["Commands", "Writer", "write"]


@dataclass(frozen=True)
class Commands:
    """What a reader can run next, ready for a shell.

    rerun: the command that runs a cell again. repro: the command that writes a folder for the project that a cell's
    failure is of.
    """

    rerun: Callable[[Cell], str]
    repro: Callable[[Cell], str]

    @classmethod
    def of(cls, rerun: str, log: str = "") -> Commands:
        """Commands that name a cell by its id. rerun: what the first one begins with. log: the run's, if it was named.

        `rerun` is `pytest --modelconform`, with the options without which some cells are not there.
        """
        named = ["--log", log] if log else []
        return cls(
            lambda cell: f"{rerun} {shlex.quote(cell.id)}",
            lambda cell: shlex.join(["modelconform", "repro", cell.id, "-o", "repro", *named]),
        )


def write(matrix: Matrix, writer: Writer, commands: Commands, complete: bool = True) -> None:
    """Write the matrix with its legend, the totals, what is to say of single columns and cases, and the failures."""
    grid.write(matrix, writer)
    below.write(matrix, writer)
    if not complete:
        writer.line("The log is cut off: not all cells are in it.", yellow=True)
    failures.write(matrix, writer, commands.rerun, commands.repro)
