"""What a cache folder holds, how large that is and when it was last used; and removing what was used longest ago.

An entry is a folder or a file that is made and removed as a whole. Whoever uses one touches it (`touch`), since times
of access are not kept on every disk.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import sessions

# Folders of entries. Beside those in the first row, a lock and a log that go with them.
_MADE = ("harness", "cpp", "library", "environments")
KINDS = ("cases", "references", "artifacts", "refusals", "threads", *_MADE, "inductor")
# Of one entry, since inductor shares headers between models.
_WHOLE = ("inductor",)
# Beginnings and ends of names that are no entries: what is being made, and what goes with one.
_HALF_MADE = (".making-", ".pruned-")
_BESIDE = (".lock", ".log", ".building", ".failed", ".wanted")
# What a process left half-made longer ago than this, nobody makes any more. In seconds.
_ABANDONED = 86400.0


@dataclass(frozen=True)
class Entry:
    """path, and what it takes on the disk in bytes; used: when it was last used, in seconds since the epoch."""

    kind: str
    path: Path
    bytes: int
    used: float


@dataclass
class Pruned:
    """What `prune` came to. removed: entries. in_use: those that would have gone, but a running session may use them.

    failed: why some could not be removed, a line each.
    """

    removed: list[Entry] = field(default_factory=list)
    in_use: list[Entry] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def touch(path: Path) -> bool:
    """Note that an entry is used now; whether it is there."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    except OSError:  # a cache that is only read: it can't be pruned either
        return path.exists()
    return True


def entries(folder: Path) -> list[Entry]:
    """All entries of a cache folder; what is half-made is of kind "half-made"."""
    found = []
    for kind in KINDS:
        place = folder / kind
        if kind in _WHOLE:
            if place.is_dir():
                found.append(Entry(kind, place, _size(place), _last_change(place)))
            continue
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            half_made = path.name.startswith(_HALF_MADE) or (kind in _MADE and path.name.endswith(".building"))
            if half_made or not path.name.endswith(_BESIDE):
                found.append(Entry("half-made" if half_made else kind, path, _size(path), _mtime(path)))
    return found


def prune(
    folder: Path, older: float | None = None, most: int | None = None, *, now: float | None = None, dry: bool = False
) -> Pruned:
    """Remove entries: those not used for `older` seconds, then the longest unused until at most `most` bytes are left.

    Never what a running session may use: sessions that begin wait, and what was used since the first one began stays.
    dry: say what would go, and remove nothing.
    """
    now = time.time() if now is None else now
    came = Pruned()
    with sessions.closed(folder) as began:
        found = sorted(entries(folder), key=lambda entry: entry.used)
        left = sum(entry.bytes for entry in found)
        for entry in found:
            limit = min(older, _ABANDONED) if older is not None else _ABANDONED
            age = now - entry.used
            too_old = age > limit if entry.kind == "half-made" else older is not None and age > older
            if not too_old and (most is None or left <= most):
                continue
            if began is not None and (entry.used >= began or entry.kind in _WHOLE):
                came.in_use.append(entry)
                continue
            if not dry:
                if _mtime(entry.path) != entry.used and entry.kind not in _WHOLE:
                    came.in_use.append(entry)  # since we looked
                    continue
                try:
                    _remove(entry)
                except OSError as error:
                    came.failed.append(f"{entry.path}: {error}")
                    continue
            left -= entry.bytes
            came.removed.append(entry)
    return came


def _remove(entry: Entry) -> None:
    """First out of the way, so that one that can't be removed whole is not taken for complete."""
    if entry.path.is_file():
        entry.path.unlink()
        return
    aside = entry.path.with_name(f".pruned-{entry.path.name}")
    if not entry.path.name.startswith(".pruned-"):
        entry.path.rename(aside)
    else:
        aside = entry.path
    shutil.rmtree(aside)
    for end in _BESIDE:
        beside = entry.path.with_name(entry.path.name + end)
        if entry.kind in _MADE and beside.is_file():
            beside.unlink()


def total(found: Sequence[Entry]) -> int:
    """Bytes of all."""
    return sum(entry.bytes for entry in found)


def _size(path: Path) -> int:
    """Bytes that a file or folder takes on the disk. A file with several names in it counts once."""
    seen: set[tuple[int, int]] = set()
    size = 0
    for place in [path, *path.rglob("*")] if path.is_dir() else [path]:
        try:
            status = place.lstat()
        except OSError:  # gone meanwhile
            continue
        if (status.st_dev, status.st_ino) not in seen:
            seen.add((status.st_dev, status.st_ino))
            size += status.st_blocks * 512
    return size


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()


def _last_change(folder: Path) -> float:
    """Of anything in a folder that nobody touches."""
    return max((_mtime(path) for path in (folder, *folder.rglob("*"))), default=0.0)
