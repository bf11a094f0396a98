"""Which processes use a cache folder now, so that `modelconform cache prune` leaves them what they use.

A process that uses the cache holds the lock of a file of its own below sessions/, for as long as it lives; the system
frees it at its death, whatever that was. What such a process has used was touched after its file was made.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = "sessions"

_held: dict[Path, object] = {}


def enter(folder: Path) -> None:
    """Count this process among those that use a cache folder. Waits while one prunes it. Again: nothing happens."""
    from filelock import FileLock

    if folder in _held:
        return
    own = folder / FOLDER
    # On a disk that is full, or can only be read, a run goes on without.
    with contextlib.suppress(OSError):
        own.mkdir(exist_ok=True, mode=0o700)
        with _door(folder):
            handle, name = tempfile.mkstemp(prefix=f"{os.getpid()}-", suffix=".lock", dir=own)
            os.close(handle)
            lock = FileLock(name)
            lock.acquire()
            _held[folder] = lock


def leave(folder: Path) -> None:
    """Count this process no more among those that use a cache folder: one that it is about to remove."""
    lock: Any = _held.pop(folder, None)
    if lock is not None:
        lock.release()


@contextlib.contextmanager
def closed(folder: Path) -> Iterator[float | None]:
    """Keep others from beginning while the block runs. Gives when the first of those began that run, None for none.

    In seconds since the epoch. This process itself does not count. Files of processes that have ended are removed.
    """
    from filelock import FileLock, Timeout

    with _door(folder):
        began = []
        for path in (folder / FOLDER).glob("*.lock"):
            if path.name.startswith(f"{os.getpid()}-"):
                continue
            try:
                with FileLock(path, timeout=0):
                    path.unlink(missing_ok=True)
            except Timeout:
                began.append(path.stat().st_mtime)
        yield min(began, default=None)


def _door(folder: Path) -> contextlib.AbstractContextManager[object]:
    from filelock import FileLock

    return FileLock(folder / f"{FOLDER}.lock")
