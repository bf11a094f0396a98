"""How the cells of a large log are divided among pages: by the folders of their case files. Pure, and no page is made.

A folder is a part. One with more cells than a page bears is divided by the folders and files in it, a file by its
cases. Neighbours that are small are one part, so that nobody has to look through a hundred pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import PurePosixPath

from ...terms.cell import Cell
from ...terms.outcome import Outcome

# Neighbours are joined up to a tenth of what a page bears.
_SMALL = 10
# Longest name of a part within its file's name.
_LONGEST = 40

Cells = Sequence[tuple[Cell, Outcome]]


@dataclass(frozen=True)
class Part:
    """What one page shows. name: what it is called. file: of the page, in the folder of parts."""

    name: str
    file: str
    cells: Cells


@dataclass(frozen=True)
class _Piece:
    """A part before it has a file. first, last: of what is in it, by name; the same for one thing."""

    first: str
    last: str
    cells: list[tuple[Cell, Outcome]]

    def __add__(self, other: _Piece) -> _Piece:
        return _Piece(self.first, other.last, [*self.cells, *other.cells])

    @property
    def name(self) -> str:
        if self.first == self.last:
            return self.first
        first, last = PurePosixPath(self.first), PurePosixPath(self.last)
        if first.parent != last.parent or not first.parent.name:
            return f"{self.first} to {self.last}"
        return f"{first.parent}: {first.name} to {last.name}"


def divide(cells: Cells, most: int) -> list[Part]:
    """Cells in parts of `most` at the most, in the order of their files; those of a case are never divided.

    A case alone may have more. Of a cell that was recorded twice all records are in one part.
    """
    ordered = sorted(cells, key=lambda entry: _key(entry[0].file))
    files = {file: list(found) for file, found in groupby(ordered, key=lambda entry: entry[0].file)}
    pieces = _packed(_of_folder(files, 0, most), most // _SMALL)
    digits = len(str(len(pieces)))
    return [
        Part(piece.name, f"{number:0{digits}}-{_slug(piece)}.html", piece.cells)
        for number, piece in enumerate(pieces, 1)
    ]


def _of_folder(files: Mapping[str, list[tuple[Cell, Outcome]]], depth: int, most: int) -> Iterator[_Piece]:
    """Of files that have so many folders in common."""
    if sum(map(len, files.values())) <= most:
        names = {_folder(file, depth) for file in files}
        # A folder as a whole, or files of several.
        name = names.pop() if len(names) == 1 else ""
        everything = [entry for found in files.values() for entry in found]
        yield _Piece(name or min(files), name or max(files), everything)
        return
    own: list[_Piece] = []
    # The files in a folder come before the folders in it, see _key.
    for folder, names_of in groupby(files, key=lambda file: _folder(file, depth + 1)):
        below = {file: files[file] for file in names_of}
        if folder:
            yield from _packed(own, most)
            own = []
            yield from _of_folder(below, depth + 1, most)
        else:
            own += [piece for file, found in below.items() for piece in _of_file(file, found, most)]
    yield from _packed(own, most)


def _of_file(file: str, cells: list[tuple[Cell, Outcome]], most: int) -> list[_Piece]:
    if len(cells) <= most:
        return [_Piece(file, file, cells)]
    cases: dict[str, list[tuple[Cell, Outcome]]] = {}
    for entry in cells:
        cases.setdefault(entry[0].case, []).append(entry)
    return _packed([_Piece(f"{file}::{case}", f"{file}::{case}", found) for case, found in cases.items()], most)


def _packed(pieces: Iterator[_Piece] | list[_Piece], most: int) -> list[_Piece]:
    """Neighbours as one, as long as they are no more than `most`."""
    found: list[_Piece] = []
    for piece in pieces:
        if found and len(found[-1].cells) + len(piece.cells) <= most:
            found[-1] += piece
        else:
            found.append(piece)
    return found


def _key(file: str) -> tuple[object, ...]:
    """Files of a folder before the folders in it, each by name."""
    *folders, name = PurePosixPath(file).parts or ("",)
    return (*((1, folder) for folder in folders), (0, name))


def _folder(file: str, depth: int) -> str:
    """The folder that a file is in, so many steps down; "" for a file that stands above."""
    folders = PurePosixPath(file).parts[:-1]
    return str(PurePosixPath(*folders[:depth])) if 0 < depth <= len(folders) else ""


def _slug(piece: _Piece) -> str:
    """Letters that any file system takes. The number before it tells parts apart."""
    words = " to ".join(dict.fromkeys(PurePosixPath(name).stem for name in (piece.first, piece.last)))
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:_LONGEST].strip("-") or "part"
