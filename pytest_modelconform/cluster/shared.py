"""What a session's processes leave in their temporary folder, on the way to the process with the log."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from ..cache import temporary

# Below the session's folder: outputs that mismatch (cells/witnesses.py), and red cells (blame/waiting.py).
_KINDS = ("witnesses", "blame")
# Bytes that a node's processes may leave: small samples of outputs, and texts.
_MOST = 2**26


def enter(session: str) -> None:
    """Have the session's folder stay when its processes have ended. On a disk that is full, a run goes on without."""
    with contextlib.suppress(OSError):
        temporary.enter(temporary.folder_of(session))


def leave(session: str) -> None:
    """Let it go."""
    temporary.leave(temporary.folder_of(session))


def taken(session: str) -> Mapping[str, bytes]:
    """The files, by path below the session's folder."""
    found: dict[str, bytes] = {}
    left = _MOST
    folder = temporary.folder_of(session)
    for kind in _KINDS:
        for path in sorted((folder / kind).rglob("*")):
            with contextlib.suppress(OSError):
                if path.is_file() and path.stat().st_size <= left:
                    data = path.read_bytes()
                    left -= len(data)
                    found[path.relative_to(folder).as_posix()] = data
    return found


def put(session: str, files: Mapping[str, bytes]) -> None:
    """Add files that another machine's processes have left. What can't be written is only a note that is missing."""
    folder = temporary.folder_of(session)
    for name, data in files.items():
        first, *rest = Path(name).parts
        if first not in _KINDS or not rest or ".." in rest:
            continue
        path = folder.joinpath(first, *rest)
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.write_bytes(data)
