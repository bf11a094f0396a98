"""Which files a case was made from: local modules that it imports, and files that are opened meanwhile.

The cache checks them before it trusts an entry. Files of the standard library and of installed packages are left
out: the versions of those that were looked for are in the record of packages (workers/lookups.py).

A process opens a file once for many requests: what a module read while it was imported is in the module, for all who
find it imported. So that is kept by the module's file, and what was read for a case by its name.
"""

from __future__ import annotations

import functools
import hashlib
import os
import site
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from ..module_file import file_of

_recording: list[set[str]] = []
# Events of what the standard library has C open: ctypes.CDLL (torch.ops.load_library, too), sqlite3.connect.
_OPENING = ("ctypes.dlopen", "sqlite3.connect")
# Paths that were opened while a local module was imported, by the path of the module's file.
_at_import: dict[str, set[str]] = {}
# What blocks that were for the same found so far.
_found: dict[tuple[str, ...], set[str]] = {}


def _installed_folders() -> tuple[str, ...]:
    names, base = ("stdlib", "platstdlib", "purelib", "platlib"), {"base": sys.base_prefix, "platbase": sys.base_prefix}
    folders = {sysconfig.get_path(name, vars=at) for name in names for at in ({}, base)}
    # Not all that is below a prefix: in a container it is /usr/local or /opt/conda, and the project may be there, too.
    folders |= {*site.getsitepackages(), site.getusersitepackages()}
    # The plugin's own sources are part of every key, too.
    folders.add(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    folders |= {"/proc", "/dev", "/sys", "/etc"}
    real = tuple({os.path.realpath(folder) + os.sep for folder in folders if folder})
    # Python imports by the names on its path: of a link `lib64` beside `lib`, say.
    named = {os.path.abspath(folder) for folder in (*folders, *sys.path) if folder}
    return (*real, *{folder + os.sep for folder in named if (os.path.realpath(folder) + os.sep).startswith(real)})


INSTALLED = _installed_folders()


def _is_local(path: str) -> bool:
    return not path.startswith(INSTALLED) and "__pycache__" not in path


def _audit(event: str, args: tuple[object, ...]) -> None:
    # When Python ends, it sets names of modules to None, `_recording` before those that are used behind it.
    if event == "open" and _recording is not None and isinstance(args[0], (str, bytes)):
        mode = args[1]
        if isinstance(mode, str) and any(letter in mode for letter in "wax+"):
            return
        _note(args[0])
    elif _recording is not None and event in _OPENING and isinstance(args[0], (str, bytes)):
        _note(args[0])


def _note(file: Any) -> None:
    """A case that is built while another one's file is imported is a part of that."""
    importing = set(_importing())
    if _recording or importing:
        path = _absolute(os.fsdecode(file))
        for opened in _recording:
            opened.add(path)
        for module in importing:
            _at_import.setdefault(module, set()).add(path)


def _absolute(path: str) -> str:
    # Now: the folder that the process is in may be another one later.
    try:
        return os.path.abspath(path)
    except OSError:  # it was removed
        return path


def _importing() -> Iterator[str]:
    """Files of the local modules whose code this thread is importing, which may be one inside of another.

    And of those whose functions keep what they return: what they read is in the module from then on, too.
    """
    frame = sys._getframe()
    while (frame := frame.f_back) is not None:  # type: ignore[assignment]
        code = frame.f_code
        named = frame.f_globals.get(code.co_name)
        keeps = type(named) is functools._lru_cache_wrapper and getattr(named.__wrapped__, "__code__", None) is code
        if (keeps or code.co_name == "<module>") and not _is_installed(code.co_filename):
            yield _absolute(code.co_filename)


sys.addaudithook(_audit)


def watch(owner: Any, name: str) -> None:
    """Have a function, a class or a method count as opening the files that it is given: what C++ and Rust open.

    Nobody tells of these. What is no file, since it is another argument, counts as little as a file that isn't there.
    """
    function = getattr(owner, name)
    there = _watched_class(function) if isinstance(function, type) else _watched(function)
    if isinstance(owner, ModuleType):
        package = owner.__name__.partition(".")[0]
        for key, module in list(sys.modules.items()):
            # Those that have taken it from there already.
            if key.partition(".")[0] == package and vars(module).get(name) is function:
                setattr(module, name, there)
    setattr(owner, name, there)


def _watched(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def watched(*args: Any, **kwargs: Any) -> Any:
        _note_given(args, kwargs)
        return function(*args, **kwargs)

    return watched


def _watched_class(found: type) -> type:
    """One that stands for a class that can't be changed or derived from: calling it makes the other's objects."""

    class Watched(type):
        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            _note_given(args, kwargs)
            return found(*args, **kwargs)

        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, found)

    # A class stays one: annotations say `safe_open | None`.
    return Watched(found.__name__, (), {"__doc__": found.__doc__, "__module__": found.__module__})


def _note_given(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    for value in (*args, *kwargs.values()):
        if isinstance(value, (str, bytes, os.PathLike)):
            _note(value)
            # A SavedModel is a folder.
            for folder, _, names in os.walk(os.fsdecode(value)):
                for name in names:
                    _note(os.path.join(folder, name))


@contextmanager
def recorded(*words: str, besides: str = "") -> Iterator[set[str]]:
    """Collect the paths of local files that are opened for reading while the block runs.

    words: what it is for. What earlier blocks for the same found counts, too: a function may keep what it has read.
    besides: a folder of ours, whose files don't count.
    """
    found: set[str] = set()
    opened: set[str] = set()
    _recording.append(opened)
    try:
        yield found
    finally:
        # Not by its value: what records around it may be as empty.
        _recording.pop()
        ours = tuple(folder + os.sep for folder in (os.path.abspath(besides), os.path.realpath(besides)) if besides)
        found |= {path for path in _there(opened) if not path.startswith(ours or ("\0",))}
        if words:
            found |= _found.get(words, set())
            _found[words] = set(found)


def _there(paths: set[str]) -> set[str]:
    """Those that are local files.

    By the paths that they were opened by, links included: their hashes change with what a link points at.
    """
    compiled = _compiled()
    return {path for path in paths if _is_local(path) and not path.startswith(compiled) and os.path.isfile(path)}


def _compiled() -> tuple[str, ...]:
    """Folders of what compilers keep, which they make of what they are given: not what a case was made from."""
    named = (os.environ.get("TORCHINDUCTOR_CACHE_DIR"), os.environ.get("TRITON_CACHE_DIR"))
    by_default = (os.path.join(tempfile.gettempdir(), "torchinductor_"), os.path.expanduser("~/.triton/"))
    return (*(os.path.abspath(folder) + os.sep for folder in named if folder), *by_default)


def local_modules(besides: str, *own: str) -> set[str]:
    """Files of all local modules imported so far, with what these opened meanwhile; other case files left out.

    More than a case imports itself, where the process has imported other cases before: an entry is then made anew more
    often than needed, never less. `besides` is the prefix of case modules' names, `own` what is asked about: a case's
    file.
    """
    found = {_absolute(path) for path in own}
    for name, module in list(sys.modules.items()):
        file = file_of(module)
        if file and not name.startswith(besides) and name != "__main__" and not _is_installed(file):
            found.add(_absolute(file))
    return _there(found.union(*(_at_import.get(path, ()) for path in found))) | {_absolute(path) for path in own}


@functools.cache
def _is_installed(file: str) -> bool:
    """Whether a module's file is no local one. Kept, since frameworks are thousands of modules (0.4 s a case)."""
    return not _is_local(_absolute(file))


_hashes: dict[str, str] = {}


def hashed(paths: set[str]) -> dict[str, str]:
    """SHA-256 of each file as it was when this process first saw it.

    A file that is edited during a run is then stored with the hash of what was imported, and missed by the next run.
    """
    for path in sorted(paths):
        if path not in _hashes:
            try:
                _hashes[path] = _hash(path)
            except (OSError, ValueError):  # the latter for a name with a zero byte
                _hashes[path] = "missing"
    return {path: _hashes[path] for path in sorted(paths)}


def _hash(path: str) -> str:
    """In pieces: weights may be gigabytes."""
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            found.update(piece)
    return found.hexdigest()
