"""Where reports and artifacts go, tried before anything is computed: hours of work must not end at a path."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator, Mapping
from pathlib import Path


def fault_of_file(path: Path) -> str:
    """Why a file can't be written, and what to do, as one line; "" if it can. Folders may be missing on the way to it.

    It is tried rather than asked for, since root may write everywhere and still not in /proc; nothing is left of that,
    and what is in the file stays.
    """
    try:
        if path.is_dir():
            return f"{path} is a folder: name a file in it"
        with _made(path.parent):
            _try(path)
    except (OSError, ValueError) as error:
        return f"{path} can't be written: {why(error)}; choose another place"
    return ""


def fault_of_folder(path: Path) -> str:
    """Why files can't be put into a folder, made if it isn't there, as one line; "" if they can."""
    try:
        with _made(path):
            _try(path / ".modelconform-tried")
    except (OSError, ValueError) as error:
        return f"{path} can't be written to: {why(error)}; choose another folder"
    return ""


@contextlib.contextmanager
def _made(folder: Path) -> Iterator[None]:
    """A folder that goes again if it was not there. Raises OSError or ValueError."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        if blocking := next(
            (place for place in (folder, *folder.parents) if place.exists() and not place.is_dir()), None
        ):
            raise NotADirectoryError(errno.ENOTDIR, f"{blocking} is a file, not a folder")
        folder.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for place in missing:
            with contextlib.suppress(OSError):
                place.rmdir()


def _try(path: Path) -> None:
    """Open a file for writing. Raises OSError or ValueError."""
    if path.exists() and not path.is_file():
        return  # A device or a pipe: opening it may wait for a reader.
    is_new = not path.exists() and not path.is_symlink()
    path.open("ab").close()
    if is_new:
        path.unlink()


def fault_of_any(files: Mapping[str, Path]) -> str:
    """The first fault of files by the option that names each, with the option's name; "" if there is none."""
    seen: dict[Path, str] = {}
    for option, path in files.items():
        if fault := fault_of_file(path):
            return f"{option}: {fault}"
        with contextlib.suppress(OSError):
            other = seen.setdefault(path.resolve(), option)
            if other != option and (path.is_file() or not path.exists()):
                return f"{option} and {other} name the same file, {path}: give each a file of its own"
    return ""


def why(error: Exception) -> str:
    """What the system says of a file that it refuses, in a few words."""
    if isinstance(error, OSError):
        # Which is what /proc says to a new file.
        if error.errno == errno.ENOENT:
            return "no file can be created there"
        return error.strerror or type(error).__name__
    return str(error)
