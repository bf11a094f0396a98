"""The command that runs one cell again, to be copied into a shell."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ..terms.cell import Cell

LISTS = ("formats", "runtimes", "devices", "precisions")


def options(cell: Cell, given: Collection[str]) -> list[str]:
    """Options without which a cell may not be there. given: which of `LISTS` the command line of its run named."""
    if cell.is_check:
        return []
    names = {"formats": cell.format, "runtimes": cell.runtime, "devices": cell.device, "precisions": cell.precision}
    # A format on the command line brings runtimes that another format of that run may have brought, and so on.
    pair = {"formats", "runtimes"}
    named = set(given) | (pair if pair & set(given) else set())
    return [f"--modelconform-{name}={names[name]}" for name in LISTS if name in named]


def export_option(cell: Cell, exports: Mapping[str, str]) -> list[str]:
    """The option without which a cell's artifact is another one. exports: what the command line gave, by column."""
    return [f"--modelconform-export={exports[cell.format]}"] if cell.format in exports else []


def node_id(cell: Cell, root: Path | None, folder: Path) -> str:
    """A cell's node id as it works in a folder.

    root: what the paths of cells are relative to; None where that is not known, or not on this machine.
    """
    path = cell.file if root is None else Path(os.path.relpath(root / cell.file, folder)).as_posix()
    return f"{path}::{cell.name}"


def command(cell: Cell, given: Collection[str], root: Path | None, folder: Path, words: Sequence[str] = ()) -> str:
    """The command, as it works in a folder. given: see `options`, root: see `node_id`, words: further ones."""
    return shlex.join(["pytest", "--modelconform", *options(cell, given), *words, node_id(cell, root, folder)])
