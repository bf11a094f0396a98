"""Where this process goes on when the disk of a cache is full: a temporary folder on another one.

What is made there is used until the process ends, and goes with it. Nothing is moved: what the cache holds is read.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ..terms.outcome import NOT_TESTED
from . import disk, temporary
from .disk import DiskFull

T = TypeVar("T")

# Less room is soon full as well, and then cells have been made in vain.
_ROOM = 2**28
# Files there take memory.
_MEMORY = Path("/dev/shm")

_spares: dict[Path, Path] = {}
_listening: dict[Path, list[tuple[Callable[[], None], Callable[[str], None]]]] = {}


def listen(cache: Path, move: Callable[[], None], hear: Callable[[str], None]) -> None:
    """Take part when a cache becomes full. move: ends what writes there. hear: takes what there is to say."""
    _listening.setdefault(cache, []).append((move, hear))


def of(cache: Path) -> Path | None:
    """The folder that stands in for a full cache; None while the cache itself is written to."""
    return _spares.get(cache)


def current(cache: Path) -> Path:
    """Where what belongs into a cache is written now."""
    return _spares.get(cache, cache)


def attempt(cache: Path, do: Callable[[Path], T]) -> T:
    """Do what writes to a cache; where that is full, again in its stand-in. Raises DiskFull if nothing has room.

    do: is given the folder to write to, and raises DiskFull where that has no room (`disk.watched`).
    """
    why = None
    if cache not in _spares:
        if cache.is_dir() and disk.free(cache) < disk.LEAST:
            why = disk.fault(cache)
        if why is None:
            try:
                return do(cache)
            except Exception as error:
                # Where nobody watched, such as at a lock, the error's own words tell.
                if (why := disk.said(error)) is None:
                    raise
    is_new = cache not in _spares  # else what was done has found out itself
    if is_new:
        _spares[cache] = _opened(cache, why or "")
        for move, _ in _listening.get(cache, ()):
            move()
    try:
        return do(_spares[cache])
    except Exception as error:
        if (again := disk.said(error)) is None:
            raise
        if is_new:
            # It may be that neither is full: exporters write to further disks.
            is_new = False
            temporary.leave(_spares.pop(cache))
        raise _nowhere(cache, again) from error
    finally:
        for _, hear in _listening.get(cache, ()) if is_new else ():
            hear(said(cache, why or ""))


def said(cache: Path, why: str) -> str:
    """The line that says what has happened, and what to do."""
    is_full = why in disk.NO_ROOM.values()
    state = "is full" if is_full else "can't be written"
    remedy = (
        "free space with: modelconform cache prune --older 30d"
        if is_full
        else "make it writable, or set MODELCONFORM_CACHE to another folder"
    )
    return f"modelconform: the cache {cache} {state} ({why}): what this run makes is not kept; {remedy}"


def remove(cache: Path) -> None:
    """Remove what stood in for a cache, at the end of a session."""
    if (folder := _spares.pop(cache, None)) is not None:
        temporary.leave(folder)
    _listening.pop(cache, None)


def places() -> list[Path]:
    """Where there may be stand-ins."""
    return [place for place in (Path(tempfile.gettempdir()), Path("/var/tmp"), _MEMORY) if place.is_dir()]


def _opened(cache: Path, why: str) -> Path:
    """A new folder where there is room. Raises DiskFull."""
    rooms = {place: disk.free(place) for place in places() if place != _MEMORY}
    if max(rooms.values(), default=0) < _ROOM and _MEMORY.is_dir() and _free_memory() >= 4 * _ROOM:
        rooms[_MEMORY] = disk.free(_MEMORY)
    for place in sorted(rooms, key=lambda place: -rooms[place]):
        if rooms[place] < _ROOM:
            break
        try:
            return temporary.new(place, f"{temporary.PREFIX}cache-")
        except OSError:
            continue
    raise _nowhere(cache, why)


def _free_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (ValueError, OSError):
        return 0


def _nowhere(cache: Path, why: str) -> DiskFull:
    return DiskFull(
        f"{NOT_TESTED}nothing could be written ({why}), neither in the cache {cache} nor in a temporary folder. Free "
        "space with: modelconform cache prune --older 30d, and on the disks of TMPDIR and /dev/shm; or set "
        "MODELCONFORM_CACHE to a folder on another disk.",
        why,
    )
