"""Whether a failure is a disk's: full, over its quota, or not to be written any more.

What fails to write says so in many ways, and some crash. So whoever fails is asked for its words, and the disk for a
little room.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

# With less than that on a disk nothing of ours can be written: references and artifacts of small models take as much.
LEAST = 2**20
NO_ROOM = {errno.ENOSPC: "No space left on device", errno.EDQUOT: "Disk quota exceeded"}
_UNWRITABLE = {**NO_ROOM, errno.EROFS: "Read-only file system"}
# As Python, C++, Rust and Node have it.
_SAID = {
    **{said.lower(): said for said in _UNWRITABLE.values()},
    "os error 28": NO_ROOM[errno.ENOSPC],
    "enospc": NO_ROOM[errno.ENOSPC],
    "edquot": NO_ROOM[errno.EDQUOT],
}


class DiskFull(OSError):
    """What was to be written had no room, whoever was to write it. why: in the system's words."""

    def __init__(self, message: str, why: str) -> None:
        super().__init__(message)
        self.why = why


def said(error: BaseException | str) -> str | None:
    """What an error, or its text, says of a disk that can't be written to; None if it says nothing of that."""
    if isinstance(error, DiskFull):
        return error.why
    if isinstance(error, OSError) and error.errno in _UNWRITABLE:
        return _UNWRITABLE[error.errno]
    text = str(error).lower()
    return next((why for word, why in _SAID.items() if word in text), None)


def free(folder: Path) -> int:
    """Bytes that this user may still write to a folder's disk, as far as the system says."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return 0
    # Disks without a number of files say that there are none.
    return 0 if found.f_files and not found.f_favail else found.f_bavail * found.f_frsize


def fault(folder: Path) -> str | None:
    """Why nothing can be written to a folder, tried with a small file; None if it can."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".room-") as file:
            file.write(b"\1" * LEAST)
            file.flush()
    except OSError as error:
        return error.strerror or str(error)
    return None


@contextlib.contextmanager
def watched(folder: Path) -> Iterator[None]:
    """Raise DiskFull for what fails in the block since a folder's disk is full. Before anything is cleaned away."""
    try:
        yield
    except Exception as error:
        if (why := said(error) or fault(folder)) is None:
            raise
        raise DiskFull(f"{folder} can't be written: {why}", why) from error
