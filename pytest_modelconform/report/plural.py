"""Numbers with their nouns."""

from __future__ import annotations


def counted(count: int, one: str, many: str = "") -> str:
    """A number with its noun: "1 cell", "2 cells"."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"
