"""How the columns of the matrix are arranged, so that every name is there as a whole: pure functions of names and room.

Formats stand above as groups, runtimes below them: side by side where there is room, else turned, a letter a line. What
doesn't fit beside each other goes into blocks below each other.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from .heads import Head, names


@dataclass(frozen=True)
class Style:
    """turned: whether names stand upright. bits: whether cells have numbers. folded: whether formats take more lines.

    gap: spaces between the columns of a group. between: spaces between groups, and before the first one.
    """

    turned: bool
    bits: bool
    folded: bool
    gap: int
    between: int


# From the roomiest to the narrowest.
STYLES = (
    Style(turned=False, bits=True, folded=False, gap=2, between=3),
    Style(turned=True, bits=True, folded=False, gap=2, between=3),
    Style(turned=True, bits=True, folded=True, gap=2, between=3),
    Style(turned=True, bits=True, folded=True, gap=2, between=2),
    Style(turned=True, bits=False, folded=False, gap=1, between=2),
    Style(turned=True, bits=False, folded=True, gap=1, between=2),
)


@dataclass(frozen=True)
class Group:
    """The columns of a format. title: its name, in lines. names, widths: of each column. width: of all of it."""

    title: Sequence[str]
    heads: Sequence[Head]
    names: Sequence[str]
    widths: Sequence[int]
    width: int


@dataclass(frozen=True)
class Block:
    """Groups that stand beside each other."""

    style: Style
    groups: Sequence[Group]

    @property
    def width(self) -> int:
        """Characters beside the names of the rows."""
        return sum(group.width + self.style.between for group in self.groups)

    @property
    def height(self) -> int:
        """Lines above the rows."""
        above = max(len(group.title) for group in self.groups) + 1
        return above + (max(len(name) for group in self.groups for name in group.names) if self.style.turned else 1)


def arranged(heads: Sequence[Head], cell: int, room: int) -> list[Block]:
    """The blocks: as few as can be, and of such arrangements the roomiest.

    cell: characters that a cell with a number takes. room: characters beside the names of the rows.
    """
    if not heads:
        return []
    found = [_split(heads, style, cell, room) for style in STYLES]
    blocks = min(found, key=len)
    if len(blocks) == 1:
        return blocks
    return [_loose(block, cell, room) for block in blocks]


def _loose(block: Block, cell: int, room: int) -> Block:
    """A block that has room to spare writes its formats in one line."""
    heads = [head for group in block.groups for head in group.heads]
    wide = _block(heads, replace(block.style, folded=False), cell, room)
    return wide if wide.width <= room else block


def _split(heads: Sequence[Head], style: Style, cell: int, room: int) -> list[Block]:
    def fits(part: Sequence[Head]) -> bool:
        return _block(part, style, cell, room).width <= room

    parts: list[list[Head]] = [[]]
    for _, found in groupby(heads, key=lambda head: head.group):
        group = list(found)
        if parts[-1] and not fits([*parts[-1], *group]):
            parts.append([])
        # A format that is too wide for a block of its own: as many of its columns as fit.
        for piece in [group] if fits([*parts[-1], *group]) else [[head] for head in group]:
            if parts[-1] and not fits([*parts[-1], *piece]):
                parts.append([])
            parts[-1] += piece
    return [_block(part, style, cell, room) for part in parts]


def _block(heads: Sequence[Head], style: Style, cell: int, room: int) -> Block:
    shown = dict(zip(heads, names(heads), strict=True))
    groups = []
    for title, found in groupby(heads, key=lambda head: head.group):
        members = list(found)
        least = cell if style.bits else 1
        widths = [least if style.turned else max(least, len(shown[head])) for head in members]
        width = sum(widths) + style.gap * (len(widths) - 1)
        most = max(room - style.between, 1)
        pieces = _pieces(title) if style.folded or len(title) > most else [title]
        width = max(width, min(max(map(len, pieces)), most))
        lines = _joined(pieces, width)
        groups.append(Group(lines, members, [shown[head] for head in members], widths, width))
    return Block(style, groups)


def _pieces(title: str) -> list[str]:
    """Where a name can be folded: behind its hyphens."""
    parts = title.split("-")
    return [f"{part}-" for part in parts[:-1]] + parts[-1:]


def _joined(pieces: Sequence[str], width: int) -> list[str]:
    """As few lines as can be."""
    lines = [""]
    for piece in (part for whole in pieces for part in textwrap.wrap(whole, width) or [""]):
        if len(lines[-1]) + len(piece) <= width:
            lines[-1] += piece
        else:
            lines.append(piece)
    return lines
