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


def _installed_folders() -> tuple[str, ...]:
    names, base = ("stdlib", "platstdlib", "purelib", "platlib"), {"base": sys.base_prefix, "platbase": sys.base_prefix}
    folders = {sysconfig.get_path(name, vars=at) for name in names for at in ({}, base)}
    # Not all that is below a prefix: that of a container is /usr/local or /opt/conda, and the project may be there, too.
    folders |= {*site.getsitepackages(), site.getusersitepackages()}
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


def _note(file: Any) -> None:
    """A case that is built while another one's file is imported is a part of that."""
    for opened in _recording:
        opened.add(os.fsdecode(file))


sys.addaudithook(_audit)


def watch(owner: Any, name: str) -> None:
    """Have a function count as opening the file that it is given first: one that C++ opens, Python has no event for."""
    function = getattr(owner, name)

    @functools.wraps(function)
    def watched(file: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(file, (str, bytes, os.PathLike)):
            _note(file)
        return function(file, *args, **kwargs)

    setattr(owner, name, watched)


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
                with open(path, "rb") as file:
                    _hashes[path] = hashlib.sha256(file.read()).hexdigest()
            except OSError:
                _hashes[path] = "missing"
    return {path: _hashes[path] for path in sorted(paths)}
