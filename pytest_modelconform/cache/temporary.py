"""Temporary folders that go with the processes that use them, however these end; else with the next session's start.

A process that uses one holds the lock of a file of its own in it, which the system frees at its death, whatever that
was. The last one that leaves removes the folder; where that was killed, whoever begins next does (`sweep`).
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PREFIX = "modelconform-"
# The folder of locks in one; what stands beside it while its first lock is made; what commands and workers write to.
_LOCKS, _BEING_MADE, _OTHERS = "held", f".{PREFIX}", "t"
# A session's name in that of its folder. It is short, as is `_OTHERS`: sockets that libraries put below TMPDIR may have
# 104 characters in all.
_LETTERS = 12
_LONGEST = 70
# Seconds after which nobody is still about to make one.
_ABANDONED = 3600.0


@dataclass(frozen=True)
class _Lock:
    """An open file that is locked. name: in the folder of locks, wherever that is by now. pid: whose it is."""

    descriptor: int
    name: str
    pid: int


_held: dict[Path, _Lock] = {}


def folder_of(session: str) -> Path:
    """The temporary folder of a session, which need not be there."""
    return Path(tempfile.gettempdir()) / f"{PREFIX}{session[:_LETTERS]}"


def enter(folder: Path) -> Path:
    """Have a folder below a temporary one for as long as this process lives, or until it leaves it. Raises OSError.

    Others may have it, too. Again: nothing happens.
    """
    if folder not in _held:
        if not _held:
            atexit.register(_leave_all)
        _held[folder] = _locked(folder) if folder.is_dir() else _made(folder)
    return folder


def new(place: Path, prefix: str = PREFIX) -> Path:
    """A folder of a new name in a place, for this process. Raises OSError."""
    return enter(place / f"{prefix}{os.urandom(_LETTERS // 2).hex()}")


def leave(folder: Path) -> None:
    """Have a folder no more. It is removed, unless another process has it."""
    lock = _held.pop(folder, None)
    if lock is None or lock.pid != os.getpid():  # a process that was forked ends, and its parent has it
        return
    # First the name: who looks meanwhile sees a lock that is held, or none.
    with contextlib.suppress(OSError):
        (folder / _LOCKS / lock.name).unlink(missing_ok=True)
    os.close(lock.descriptor)
    remove(folder)


def remove(folder: Path) -> None:
    """Remove a folder that no process has."""
    if not _is_used(folder):
        shutil.rmtree(folder, ignore_errors=True)


def for_others(folder: Path) -> dict[str, str]:
    """What the environment of commands and workers says of temporary files, so that what a killed one leaves goes, too.

    Nothing where the path is too long for what libraries put there.
    """
    place = folder / _OTHERS
    if len(str(place)) > _LONGEST or folder not in _held:
        return {}
    with contextlib.suppress(OSError):
        place.mkdir(exist_ok=True, mode=0o700)
        return {"TMPDIR": str(place)}
    return {}


def sweep(places: Iterable[Path] = ()) -> None:
    """Remove the folders of processes that were killed. places: where to look; else where this one makes its own."""
    for place in places or (Path(tempfile.gettempdir()),):
        for folder in _ours(place):
            # Another user's, or gone meanwhile.
            with contextlib.suppress(OSError):
                # One that has no lock yet is about to get one, and its name then.
                is_made = folder.name.startswith(PREFIX) and (folder / _LOCKS).is_dir()
                is_old = folder.name.startswith(_BEING_MADE) and time.time() - folder.stat().st_mtime > _ABANDONED
                if is_made or is_old:
                    remove(folder)


def _ours(place: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        for entry in os.scandir(place):
            if entry.name.startswith((PREFIX, _BEING_MADE)):
                with contextlib.suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid():
                        yield Path(entry.path)


def _made(folder: Path) -> _Lock:
    """The lock of a folder that isn't there yet: made under another name, so that nobody sees it without a lock."""
    beside = Path(tempfile.mkdtemp(prefix=f"{_BEING_MADE}{os.getpid()}-", dir=folder.parent))
    lock = None
    try:
        lock = _locked(beside)
        beside.rename(folder)
    except OSError:
        if lock is not None:
            os.close(lock.descriptor)
        shutil.rmtree(beside, ignore_errors=True)
        if not folder.is_dir():
            raise
        return _locked(folder)  # another process was first
    return lock


def _locked(folder: Path) -> _Lock:
    """A file of this process's own, locked. Not by filelock, which knows its file by a path, and removes that."""
    (folder / _LOCKS).mkdir(exist_ok=True, mode=0o700)
    name = f"{os.getpid()}-{os.urandom(4).hex()}"
    descriptor = os.open(folder / _LOCKS / name, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
        os.close(descriptor)
        raise
    return _Lock(descriptor, name, os.getpid())


def _is_used(folder: Path) -> bool:
    """Whether a process has a folder: one of its locks is held."""
    return any(_is_locked(path) for path in (folder / _LOCKS).glob("*"))


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    except OSError:  # nothing is known of it
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _leave_all() -> None:
    for folder in list(_held):
        leave(folder)
