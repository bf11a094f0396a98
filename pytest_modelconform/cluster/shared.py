"""Folders that the processes of a session share on one machine, below the temporary one."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

# What follows the session's name: for outputs that mismatch (cells/witnesses.py), and red cells (blame/waiting.py).
_SUFFIXES = ("", "-blame")
# Bytes that a node's processes may leave for the end of the run: small samples of outputs, and texts.
_MOST = 2**26


def folders(session: str) -> Sequence[Path]:
    """Those of a session; they need not be there."""
    return [Path(tempfile.gettempdir(), f"modelconform-{session}{suffix}") for suffix in _SUFFIXES]


def remove(session: str) -> None:
    """Remove them."""
    for folder in folders(session):
        shutil.rmtree(folder, ignore_errors=True)


def taken(session: str) -> Mapping[str, bytes]:
    """Their files, by path below the temporary folder; and remove them."""
    found: dict[str, bytes] = {}
    left = _MOST
    for folder in folders(session):
        for path in sorted(folder.rglob("*")):
            with contextlib.suppress(OSError):
                if path.is_file() and path.stat().st_size <= left:
                    data = path.read_bytes()
                    left -= len(data)
                    found[path.relative_to(folder.parent).as_posix()] = data
    remove(session)
    return found


def put(session: str, files: Mapping[str, bytes]) -> None:
    """Add files that another machine's processes have left. What can't be written is only a note that is missing."""
    own = {folder.name: folder for folder in folders(session)}
    for name, data in files.items():
        first, *rest = Path(name).parts
        if first not in own or not rest or ".." in rest:
            continue
        path = own[first].joinpath(*rest)
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.write_bytes(data)
