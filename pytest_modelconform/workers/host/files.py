"""Which files a case was made from: local modules that it imports, and files that are opened meanwhile.

The cache checks them before it trusts an entry. Files of the standard library and of installed packages are left
out: the versions of those that were looked for are in the record of packages (workers/lookups.py).
"""

from __future__ import annotations

import functools
import hashlib
import os
import site
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..module_file import file_of

_recording: list[set[str]] = []
# Events of what the standard library has C open: ctypes.CDLL (torch.ops.load_library, too), sqlite3.connect.
_OPENING = ("ctypes.dlopen", "sqlite3.connect")


def _installed_folders() -> tuple[str, ...]:
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders |= {*site.getsitepackages(), site.getusersitepackages(), sys.base_prefix, sys.prefix}
    # The plugin's own sources are part of every key, too.
    folders.add(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    folders |= {"/proc", "/dev", "/sys", "/etc"}
    return tuple(os.path.realpath(folder) + os.sep for folder in folders if folder)


INSTALLED = _installed_folders()


def _is_local(path: str) -> bool:
    return not path.startswith(INSTALLED) and "__pycache__" not in path


def _audit(event: str, args: tuple[object, ...]) -> None:
    if event == "open" and _recording and isinstance(args[0], (str, bytes)):
        mode = args[1]
        if isinstance(mode, str) and any(letter in mode for letter in "wax+"):
            return
        _note(args[0])
    # In this order: when Python ends, it sets the names of a module to None, the first one first.
    elif _recording and event in _OPENING and isinstance(args[0], (str, bytes)):
        _note(args[0])


def _note(file: Any) -> None:
    """A case that is built while another one's file is imported is a part of that."""
    for opened in _recording:
        opened.add(os.fsdecode(file))


sys.addaudithook(_audit)


def watch(owner: Any, name: str) -> None:
    """Have a function, a class or a method count as opening the files that it is given: those that C++ opens.

    Python has no event for these. Not its first argument alone: a method's is the object.
    """
    function = getattr(owner, name)
    if isinstance(function, type):
        setattr(owner, name, _watched_class(function))
        return

    @functools.wraps(function)
    def watched(*args: Any, **kwargs: Any) -> Any:
        _note_given(args, kwargs)
        return function(*args, **kwargs)

    setattr(owner, name, watched)


def _watched_class(found: type) -> type:
    """One that stands for a class that can't be changed or derived from: calling it makes the other's objects."""

    class Watched(type):
        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            _note_given(args, kwargs)
            return found(*args, **kwargs)

        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, found)

    return Watched(found.__name__, (), {"__doc__": found.__doc__, "__module__": found.__module__})


def _note_given(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """What else is text among the arguments is no name of a file, and left out as such."""
    for value in (*args[:2], *kwargs.values()):
        if isinstance(value, (str, bytes, os.PathLike)):
            _note(value)
            # A SavedModel is a folder.
            for folder, _, names in os.walk(os.fsdecode(value)):
                for name in names:
                    _note(os.path.join(folder, name))


@contextmanager
def recorded() -> Iterator[set[str]]:
    """Collect the paths of local files that are opened for reading while the block runs."""
    found: set[str] = set()
    opened: set[str] = set()
    _recording.append(opened)
    try:
        yield found
    finally:
        # Not by its value: what records around it may be as empty.
        _recording.pop()
        for path in opened:
            real = os.path.realpath(path)
            if _is_local(real) and os.path.isfile(real):
                found.add(real)


def local_modules(besides: str) -> set[str]:
    """Files of all local modules imported so far, other case files left out.

    More than a case imports itself, where the process has imported other cases before: an entry is then made anew more
    often than needed, never less. `besides` is the prefix of case modules' names.
    """
    found = set()
    for name, module in list(sys.modules.items()):
        file = file_of(module)
        if file and not name.startswith(besides) and name != "__main__" and not _is_installed(file):
            real = os.path.realpath(file)
            if os.path.isfile(real):
                found.add(real)
    return found


@functools.cache
def _is_installed(file: str) -> bool:
    """Whether a module's file is no local one. Kept, since frameworks are thousands of modules (0.4 s a case)."""
    return not _is_local(os.path.realpath(file))


_hashes: dict[str, str] = {}


def hashed(paths: set[str]) -> dict[str, str]:
    """SHA-256 of each file as it was when this process first saw it.

    A file that is edited during a run is then stored with the hash of what was imported, and missed by the next run.
    """
    for path in sorted(paths):
        if path not in _hashes:
            try:
                _hashes[path] = _hash(path)
            except OSError:
                _hashes[path] = "missing"
    return {path: _hashes[path] for path in sorted(paths)}


def _hash(path: str) -> str:
    """In pieces: weights may be gigabytes."""
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            found.update(piece)
    return found.hexdigest()
