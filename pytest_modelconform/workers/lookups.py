"""What a process looked for among the installed packages: what it found, and what it didn't. Python 3.8.

A result depends on a package that was imported, and as much on one that was looked for in vain (`try: import
flash_attn`): installing it makes another result. It does not depend on any other. So `watch` has every import, every
`find_spec` and every question for a version noted, `record` says what came of them as JSON, and `unchanged` tells
another process, on another day, whether the same questions would have the same answers. The cache keeps a record beside
each entry (cache/store.py).

A package is its name, its version and what its installer has listed of its files, with their hashes (RECORD): one that
is installed from a folder or a wheel of one's own has other files under the same version. Files that were edited where
they are installed are not seen.

Not noted: questions for all packages at once (`entry_points`, `packages_distributions`). Entry points of the groups
that frameworks load by themselves are part of each record instead.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

# Entry points that PyTorch, JAX and the like load when they are imported or first used, whoever has installed them.
_LOADED_GROUPS = re.compile(rb"^\s*\[\s*(torch|triton|jax|keras|tensorflow|numba|onnx|openvino|executorch)", re.M)
_METADATA = (".dist-info", ".egg-info")
# Packages of shared libraries: loaded without an import, and by those that come with them.
_LIBRARIES = ("nvidia-", "intel-", "mkl", "tbb")


class _Watch:
    """Stands first among the finders, notes what is asked for, and finds nothing."""

    def __init__(self) -> None:
        # Full names; of submodules with the folders that they were looked for in, of others with None.
        self.modules: dict[str, tuple[str, ...] | None] = {}
        self.distributions: set[str] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name not in self.modules:
            self.modules[name] = None if path is None else tuple(entry for entry in path if isinstance(entry, str))

    def find_distributions(self, context: Any = None) -> Iterable[Any]:
        name = getattr(context, "name", None)
        if name is not None:
            self.distributions.add(_normalised(name))
        return ()


_watch = _Watch()


def watch() -> None:
    """Note from now on what this process looks for."""
    if _watch not in sys.meta_path:
        sys.meta_path.insert(0, _watch)


def record() -> dict[str, Any]:
    """What this process has looked for so far and what there is of it.

    path: the folders of sys.path. modules: by full name, the index in `path` of the first folder that has it, -1 for
    none. within: submodules that weren't imported, with the folders that they were looked for in and the index there.
    distributions: metadata folders of the packages found. files: a hash of what these list. absent: names of those
    asked for that there are not. entry_points: a hash.
    """
    path = [os.path.abspath(entry) for entry in sys.path if entry]
    modules: dict[str, int] = {}
    within: dict[str, list[Any]] = {}
    # What was imported before anybody watched is as good as asked for.
    asked = {**dict.fromkeys(name for name in list(sys.modules) if "." not in name), **_watch.modules}
    for name, folders in asked.items():
        if name in sys.builtin_module_names or name.startswith("__"):
            continue
        if "." not in name:
            modules[name] = _place(name, path)
        elif folders and name not in sys.modules:
            within[name] = [list(folders), _place(name.rpartition(".")[2], folders)]
    owners, known = _owners(path), _known(path)
    found = {owner for name, place in modules.items() if place >= 0 for owner in owners.get(name, ())}
    found |= {folder for name, folders in known.items() if name.startswith(_LIBRARIES) for folder in folders}
    absent = set()
    for name in _watch.distributions | {_normalised(name) for name, place in modules.items() if place < 0}:
        found |= known.get(name, set())
        if name not in known:
            absent.add(name)
    return {
        "path": path,
        "modules": dict(sorted(modules.items())),
        "within": dict(sorted(within.items())),
        "distributions": sorted(found),
        "files": _files(path, found, _seen),
        "absent": sorted(absent),
        "entry_points": _entry_points(path),
    }


def everything() -> dict[str, Any]:
    """A record for one who looked for all that is installed: where nobody has watched."""
    path = [os.path.abspath(entry) for entry in sys.path if entry]
    found = {folder for folders in _known(path).values() for folder in folders}
    return {"path": path, "all": sorted(found), "files": _files(path, found, _seen)}


def unchanged(found: Mapping[str, Any]) -> bool:
    """Whether the questions of a record have the same answers now. A record of another shape: no."""
    try:
        path = found["path"]
        # Each folder is looked at once: a record has hundreds of questions.
        seen = functools.lru_cache(maxsize=None)(_listing)
        known = _known(path)
        here = {folder for folders in known.values() for folder in folders}
        if "all" in found:
            return bool(here == set(found["all"]) and _files(path, here) == found["files"])
        return (
            here.issuperset(found["distributions"])
            and known.keys().isdisjoint(found["absent"])
            and all(_place(name, path, seen) == place for name, place in found["modules"].items())
            and all(
                _place(name.rpartition(".")[2], where, seen) == place
                for name, (where, place) in found["within"].items()
            )
            and bool(_entry_points(path) == found["entry_points"])
            and bool(_files(path, set(found["distributions"])) == found["files"])
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return False


# By folder: the time of its last change; the modules in it; the metadata folders in it.
_listings: dict[str, tuple[int, set[str], list[str]]] = {}


def _listing(folder: str) -> tuple[set[str], list[str]]:
    """Names of the modules in a folder, and its metadata folders. Empty for what is no folder."""
    try:
        changed = os.stat(folder).st_mtime_ns
        if folder not in _listings or _listings[folder][0] != changed:
            entries = os.listdir(folder)
            # By these rules and not the interpreter's suffixes, which name its version: hosts have other versions.
            stems = {
                entry.partition(".")[0]
                for entry in entries
                if "." not in entry or entry.endswith((".py", ".pyc", ".so", ".pyd"))
            }
            _listings[folder] = (changed, stems, sorted(e for e in entries if e.endswith(_METADATA)))
        return _listings[folder][1:]
    except OSError:
        return set(), []


def _place(stem: str, folders: Iterable[str], listing: Callable[[str], tuple[set[str], list[str]]] = _listing) -> int:
    """The index of the first folder that has a module of this name; -1 for none."""
    return next((i for i, folder in enumerate(folders) if stem in listing(folder)[0]), -1)


# By folder, while it does not change: its metadata folders by their packages' names; what `_entry_points` hashes of it.
_names: dict[str, tuple[int, dict[str, set[str]]]] = {}
_points: dict[str, tuple[int, list[list[str]]]] = {}


def _kept(kept: dict[str, tuple[int, T]], folder: str, make: Callable[[list[str]], T]) -> T:
    """What is made of a folder's metadata folders, made anew where the folder has changed."""
    entries = _listing(folder)[1]
    changed = _listings[folder][0] if folder in _listings else 0
    if folder not in kept or kept[folder][0] != changed:
        kept[folder] = (changed, make(entries))
    return kept[folder][1]


def _known(path: Iterable[str]) -> dict[str, set[str]]:
    """Metadata folders of all packages in some folders, by the packages' normalised names."""
    found: dict[str, set[str]] = {}
    for folder in path:
        for name, entries in _kept(_names, folder, _by_name).items():
            found.setdefault(name, set()).update(entries)
    return found


def _by_name(entries: list[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for entry in entries:
        name = re.sub(r"(-[^-]*)?(-py[0-9.]+)?\.(dist|egg)-info$", "", entry)
        found.setdefault(_normalised(name), set()).add(entry)
    return found


def _normalised(name: str) -> str:
    """As PEP 503 compares names of packages."""
    return re.sub(r"[-_.]+", "-", str(name)).lower()


# By folder, while it does not change: hashes of lists of files, by metadata folder.
_lists: dict[str, tuple[int, dict[str, str]]] = {}
# The same as this process saw them first, by path. What is installed again later is not what it has imported.
_seen: dict[str, str] = {}


def _files(path: Iterable[str], found: set[str], seen: dict[str, str] | None = None) -> str:
    """A hash of what packages list of their files. found: metadata folders. seen: what stands for the lists of now."""
    hashes = []
    for folder in path:
        kept = _kept(_lists, folder, lambda entries: {})
        for entry in sorted(found.intersection(_listing(folder)[1])):
            place = os.path.join(folder, entry)
            if entry not in kept:
                kept[entry] = _list(place)
            hashes.append(kept[entry] if seen is None else seen.setdefault(place, kept[entry]))
    return hashlib.sha256(json.dumps(hashes).encode()).hexdigest()


def _list(metadata: str) -> str:
    """A hash of the list of a package's files; "" where its installer has left none."""
    try:
        with open(os.path.join(metadata, "RECORD"), "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return ""


# Which packages have brought a module, by folder, while it does not change.
_owned: dict[str, tuple[int, dict[str, set[str]]]] = {}


def _owners(path: Iterable[str]) -> dict[str, set[str]]:
    """Metadata folders of the packages that have brought each module."""
    found: dict[str, set[str]] = {}
    for folder in path:
        for name, them in _kept(_owned, folder, functools.partial(_owners_in, folder)).items():
            found.setdefault(name, set()).update(them)
    return found


def _owners_in(folder: str, entries: list[str]) -> dict[str, set[str]]:
    owners: dict[str, set[str]] = {}
    for entry in entries:
        for name in _top_level(os.path.join(folder, entry)):
            owners.setdefault(name, set()).add(entry)
    return owners


def _top_level(metadata: str) -> set[str]:
    """Names of the modules that a package has brought: from the list that some builders write, else of its files."""
    try:
        with open(os.path.join(metadata, "top_level.txt"), encoding="utf-8") as file:
            return {name.rpartition("/")[2] for name in file.read().split()}
    except OSError:
        pass
    try:
        with open(os.path.join(metadata, "RECORD"), encoding="utf-8") as file:
            # The first part of each file's path, of a file that stands alone its stem.
            return {re.split(r"[/.,]", line, maxsplit=1)[0].strip('"') for line in file}
    except (OSError, UnicodeDecodeError):
        return set()


def _entry_points(path: Iterable[str]) -> str:
    """A hash of the entry points that frameworks load by themselves."""
    found = [point for folder in path for point in _kept(_points, folder, functools.partial(_points_in, folder))]
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()


def _points_in(folder: str, entries: list[str]) -> list[list[str]]:
    found = []
    for entry in entries:
        try:
            with open(os.path.join(folder, entry, "entry_points.txt"), "rb") as file:
                text = file.read()
        except OSError:
            continue
        if _LOADED_GROUPS.search(text):
            found.append([entry, hashlib.sha256(text).hexdigest()])
    return found
