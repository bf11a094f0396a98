"""A set of cells as few patterns of `expected.toml`: each matches cells of the set, and no other that can exist."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import product

from .file import pattern_of

_SPECIAL = re.compile(r"[*?]")
# 2 to this power patterns are tried for a cell: more parts than an id will ever have.
_MOST_PARTS = 8


def file_of(cell: str) -> str:
    """The case file of an id or a pattern."""
    return cell.partition("::")[0]


class Ids:
    """The ids of all cells that can exist, in order, and what patterns match of them."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.order = {cell: i for i, cell in enumerate(dict.fromkeys(ids))}
        self._by_file: dict[str, list[str]] = {}
        for cell in self.order:
            self._by_file.setdefault(file_of(cell), []).append(cell)

    def matching(self, pattern: str) -> Iterator[str]:
        """The ids that a pattern matches."""
        # Most patterns name their file, which spares the ids of all others.
        file = file_of(pattern)
        near = self.order if _SPECIAL.search(file) else self._by_file.get(file, ())
        return filter(pattern_of(pattern).fullmatch, near)


def fold(cells: Sequence[str], ids: Ids, near: Sequence[str] = ()) -> list[str]:
    """Patterns that match exactly `cells`, which are some of `ids`, each cell once; as few as a greedy choice finds.

    Where no pattern matches part of the cells and nothing else, a cell stands for itself. near: patterns that are
    preferred where they fit, and whose part before the bracket may stay (`text/*[…]`). Returned in the order in which
    `ids` has what they match.
    """
    wanted = set(cells)
    usable: dict[str, frozenset[str]] = {}
    for pattern in dict.fromkeys([*near, *(pattern for cell in cells for pattern in _patterns(cell, near))]):
        if matched := _matched(pattern, ids, wanted):
            usable[pattern] = matched
    chosen = []
    left = set(wanted)
    while left:
        fitting = [pattern for pattern, matched in usable.items() if matched <= left]
        # A file whose name holds "*" has no pattern that is exactly its own: its id has to do.
        best = min(fitting, key=lambda p: (-len(usable[p]), p not in near, *_cost(p)), default=min(left))
        chosen.append(best)
        left -= usable.setdefault(best, frozenset({best}))
    return sorted(chosen, key=lambda pattern: min(ids.order[cell] for cell in usable[pattern]))


def _cost(pattern: str) -> tuple[int, int, str]:
    """What is dear in a pattern of the same cells: special characters, then length."""
    return len(_SPECIAL.findall(pattern)), len(pattern), pattern


def _matched(pattern: str, ids: Ids, wanted: Collection[str]) -> frozenset[str]:
    """The ids that a pattern matches; none if one of them is not wanted."""
    found = []
    for cell in ids.matching(pattern):
        if cell not in wanted:
            return frozenset()
        found.append(cell)
    return frozenset(found)


def _patterns(cell: str, near: Sequence[str]) -> Iterator[str]:
    """The patterns that may stand for a cell and others like it, itself the first."""
    yield cell
    head, bracket, rest = cell.partition("[")
    if not bracket:
        return
    parts = rest.rstrip("]").split("-")
    heads = [head, f"{file_of(cell)}::*", *(pattern.partition("[")[0] for pattern in near if "[" in pattern)]
    for some in product((False, True), repeat=min(len(parts), _MOST_PARTS)):
        mask = (*some, *(False,) * (len(parts) - len(some)))
        text = "-".join("*" if starred else part for starred, part in zip(mask, parts, strict=True))
        # "*" matches "-", too: `onnx-*` is `onnx-*-*`.
        text = re.sub(r"\*(-\*)+", "*", text)
        yield from (f"{name}[{text}]" for name in heads)


def _file(cell: str) -> str:
    return cell.partition("::")[0]
