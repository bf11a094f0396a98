"""A set of cells as few patterns of `expected.toml`: each matches cells of the set, and no other that can exist."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from .expected import pattern_of

_SPECIAL = re.compile(r"[*?]")
# 2 to this power patterns are tried for a cell: more parts than an id will ever have.
_MOST_PARTS = 8


def fold(cells: Iterable[str], ids: Iterable[str], near: Sequence[str] = ()) -> list[str]:
    """Patterns that match exactly `cells` among `ids`, each cell once; the ones that match most come first to be taken.

    cells, ids: ids relative to the file's folder, `ids` those of all cells that can exist. Where no pattern matches
    part of the cells and nothing else, a cell stands for itself. near: patterns that are tried first, and whose part
    before the bracket may stay (`text/*[…]`). Returned in the order in which `ids` has what they match.
    """
    order = {cell: i for i, cell in enumerate(dict.fromkeys([*ids, *cells]))}
    wanted = set(cells)
    by_file: dict[str, list[str]] = {}
    for cell in order:
        by_file.setdefault(_file(cell), []).append(cell)
    usable: dict[str, frozenset[str]] = {}
    tried = (pattern for cell in sorted(wanted, key=order.__getitem__) for pattern in _patterns(cell, near))
    for pattern in dict.fromkeys([*near, *tried]):
        # Most patterns name their file, which spares the ids of all others.
        file = _file(pattern)
        matched = _matched(pattern, order if _SPECIAL.search(file) else by_file.get(file, ()), wanted)
        if matched:
            usable[pattern] = matched
    chosen = []
    left = set(wanted)
    while left:
        fitting = [pattern for pattern, matched in usable.items() if matched <= left]
        # A file whose name holds "*" has no pattern that is exactly its own: its id has to do.
        best = min(fitting, key=lambda p: (-len(usable[p]), p not in near, *_cost(p)), default=min(left))
        chosen.append(best)
        left -= usable.get(best, {best})
    first = {pattern: min(order[cell] for cell in usable.get(pattern, {pattern})) for pattern in chosen}
    return sorted(chosen, key=first.__getitem__)


def _cost(pattern: str) -> tuple[int, int, str]:
    """What is dear in a pattern of the same cells: special characters, then length."""
    return len(_SPECIAL.findall(pattern)), len(pattern), pattern


def _matched(pattern: str, ids: Iterable[str], wanted: set[str]) -> frozenset[str]:
    """The ids that a pattern matches; none if one of them is not wanted."""
    match = pattern_of(pattern).fullmatch
    found = []
    for cell in ids:
        if match(cell):
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
    heads = [head, f"{_file(cell)}::*", *(pattern.partition("[")[0] for pattern in near if "[" in pattern)]
    for some in product((False, True), repeat=min(len(parts), _MOST_PARTS)):
        mask = (*some, *(False,) * (len(parts) - len(some)))
        text = "-".join("*" if starred else part for starred, part in zip(mask, parts, strict=True))
        # "*" matches "-", too: `onnx-*` is `onnx-*-*`.
        text = re.sub(r"\*(-\*)+", "*", text)
        yield from (f"{name}[{text}]" for name in heads)


def _file(cell: str) -> str:
    return cell.partition("::")[0]
