"""What the commands on logs say of counts and of files' endings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from .logs import Refused


def counted(number: int, noun: str) -> str:
    """`1 cell`, `2 cells`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def format_of(path: Path | None, endings: Mapping[str, str], usual: str) -> str:
    """The format that a file's ending says; the usual one for no file, and for a name without an ending.

    Raises Refused for another ending: what a file is called is what its reader takes it for.
    """
    if path is None or not path.suffix:
        return usual
    if path.suffix.lower() not in endings:
        names = ", ".join(endings)
        raise Refused(f"{path}: unknown ending {path.suffix!r}. Known endings: {names}. Other names need --format.")
    return endings[path.suffix.lower()]


def check_ending(path: Path, endings: Collection[str]) -> None:
    """Raises Refused where a file has another ending than what is written to it."""
    if path.suffix.lower() not in endings:
        raise Refused(
            f"{path}: unknown ending {path.suffix!r}. Name the file {' or '.join(f'FILE{e}' for e in endings)}."
        )
