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
        with _made(path.parent) as fault:
            return fault or _fault_of_opening(path)
    except (OSError, ValueError) as error:
        return f"{path} can't be written: {why(error)}; name a file in a folder that you may write to"


def fault_of_folder(path: Path) -> str:
    """Why files can't be put into a folder, made if it isn't there, as one line; "" if they can."""
    try:
        if path.exists() and not path.is_dir():
            return _no_folder(path)
    except (OSError, ValueError) as error:
        return f"the folder {path} can't be created: {why(error)}; choose another place"
    return fault_of_file(path / ".modelconform-tried")


@contextlib.contextmanager
def _made(folder: Path) -> Iterator[str]:
    """A folder that goes again if it was not there; why it can't be made, or ""."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    fault = ""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        fault = _no_folder(next((p for p in (folder, *folder.parents) if p.exists() and not p.is_dir()), folder))
    except (OSError, ValueError) as error:
        fault = f"the folder {folder} can't be created: {why(error)}; choose another place"
    try:
        yield fault
    finally:
        for place in missing:
            with contextlib.suppress(OSError):
                place.rmdir()


def _no_folder(path: Path) -> str:
    return f"{path} is a file, so it can't be a folder: choose another place"


def _fault_of_opening(path: Path) -> str:
    if path.exists() and not path.is_file():
        return ""  # A device or a pipe: opening it may wait for a reader.
    is_new = not path.exists() and not path.is_symlink()
    path.open("ab").close()
    if is_new:
        path.unlink()
    return ""


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
