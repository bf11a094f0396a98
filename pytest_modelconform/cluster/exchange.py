"""Entries of the cache on their way from one node to another: what one has made, others need not make again.

They travel in pieces, so that an artifact of any size takes little memory on the way. Who takes one believes it no more
than what is in its own cache: files, packages and fingerprint are checked as ever (cache/store.py).
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..cache.inventory import touch

# Bytes of a piece.
PIECE = 2**24
# Kinds of entries that travel: what a machine compiles or installs for itself stays there.
KINDS = ("cases", "references", "artifacts", "refusals", "threads")

# A piece of a file, by its path in the entry, "" for an entry that is one file; or None at the end of a whole entry.
Piece = tuple[str, bytes] | None


def pieces(folder: Path, kind: str, name: str) -> Iterator[Piece]:
    """An entry of a cache in pieces; none where there is no such entry. What is removed meanwhile has no end."""
    entry = folder / kind / name
    if kind not in KINDS or entry.parent != folder / kind or not entry.exists():
        return
    touch(entry)
    files = sorted(path for path in entry.rglob("*") if path.is_file()) if entry.is_dir() else [entry]
    with contextlib.suppress(OSError):
        for path in files:
            inside = path.relative_to(entry).as_posix() if path != entry else ""
            with path.open("rb") as file:
                data = file.read(PIECE)
                yield inside, data
                while len(data) == PIECE and (data := file.read(PIECE)):
                    yield inside, data
        yield None


def take(found: Iterable[Piece], folder: Path, kind: str, name: str) -> bool:
    """Put an entry into a cache; whether it is there now. One without its end is none."""
    target = folder / kind / name
    work: Path | None = None
    is_whole = False
    try:
        for piece in found:
            if piece is None:
                is_whole = True
                break
            work = work or Path(tempfile.mkdtemp(prefix=".making-", dir=folder / kind))
            inside = Path(piece[0])
            if inside.is_absolute() or ".." in inside.parts:
                return False
            path = work / "entry" / inside
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(piece[1])
        if not is_whole or work is None:
            return target.exists()
        # Another process may have been faster: what is there stays.
        with contextlib.suppress(OSError):
            (work / "entry").rename(target)
        return target.exists()
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
