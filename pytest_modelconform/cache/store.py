"""The content-addressed cache: what it holds, under which keys, and who may write.

    cases/<key>.json       what importing a case file or building a case came to, the files that it depends on, and
                           a record of the packages (workers/lookups.py)
    references/<key>/      inputs, eager's outputs and the noise floor of a case
    artifacts/<key>/       a case stored in a format
    refusals/<key>/        what an exporter said instead, where that is expected (see cells/refusals.py)
    threads/<key>/         which trials from several threads have passed (see cells/from_threads.py)
    cpp/<key>/             C++ sources of cases, compiled (see building/case_library.py)
    harness/…              compiled C++ harnesses (see building/harness.py)
    sessions/…             locks of the processes that use the folder (see sessions.py)
    memory/…               what the processes of each machine have reserved (see reservations.py)

A full disk ends no run: what is made then is in another folder (spare.py), and goes with the process.
Whoever uses an entry touches it, so that `modelconform cache prune` removes what was unused longest (inventory.py).
A wrong hit would be a wrong verdict. Every key holds the fingerprint of the environment; an entry of `cases` is checked
file by file and package by package before it is believed; the other two are named after its digests, and an artifact
has a record of its own, since exporters import more than models do.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from . import disk, spare
from .fingerprint import hash_file, hash_of
from .inventory import touch

T = TypeVar("T")


class CacheRefused(Exception):
    """The cache folder can't be used. The message says why and what to do."""


def default_folder() -> Path:
    """$MODELCONFORM_CACHE, or the user's cache folder."""
    if folder := os.environ.get("MODELCONFORM_CACHE"):
        return Path(folder)
    import platformdirs

    return platformdirs.user_cache_path("pytest-modelconform", appauthor=False)


class Cache:
    """A cache folder. Raises CacheRefused for one that belongs to another user: artifacts execute code.

    others: where set, asked once for an entry that is not here, by its kind and name: it may put it here, from another
    machine, and returns whether it did. `ask_again` forgets what was asked for.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.others: Callable[[str, str], bool] | None = None
        self._asked: set[tuple[str, str]] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            status = folder.stat()
        except OSError as error:
            raise CacheRefused(
                f"can't make the cache folder {folder}: {error}; set MODELCONFORM_CACHE to another"
            ) from error
        if status.st_uid != os.getuid():
            raise CacheRefused(
                f"the cache folder {folder} belongs to user {status.st_uid}, and what is in it gets executed: set "
                "MODELCONFORM_CACHE to a folder of your own"
            )
        if stat.S_IMODE(status.st_mode) & 0o022:
            raise CacheRefused(
                f"others may write to the cache folder {folder}, and what is in it gets executed: chmod 700 it"
            )
        # On a full disk, or one that can only be read, what is there is of use all the same.
        with contextlib.suppress(OSError):
            _make_folders(folder)

    def attempt(self, do: Callable[[Path], T]) -> T:
        """Do what writes to the folder that it is given: this one, or its stand-in when the disk is full.

        Raises DiskFull where nothing has room; `do` does so within `disk.watched`.
        """

        def prepared(folder: Path) -> T:
            with disk.watched(folder):
                _make_folders(folder)
            return do(folder)

        return spare.attempt(self.folder, prepared)

    def place(self, kind: str, name: str) -> Path:
        """Where an entry is, or would be."""
        found = self._place(kind, name)
        if self.others is None or found.exists() or (kind, name) in self._asked:
            return found
        self._asked.add((kind, name))
        return self._place(kind, name) if self.others(kind, name) else found

    def ask_again(self) -> None:
        """Others may have what they had not."""
        self._asked.clear()

    def _place(self, kind: str, name: str) -> Path:
        return next((f / kind / name for f in self._folders if (f / kind / name).exists()), self.folder / kind / name)

    @property
    def _folders(self) -> Sequence[Path]:
        other = spare.of(self.folder)
        return (self.folder,) if other is None else (other, self.folder)

    def lock(self, name: str, folder: Path | None = None) -> contextlib.AbstractContextManager[Any]:
        """Only one process at a time is inside the lock of a name. Freed by the system when its holder dies.

        folder: the one that is written to, where that is not this cache's own.
        """
        from filelock import FileLock

        return FileLock((folder or self.folder) / "locks" / f"{name}.lock")

    def produce(self, kind: str, key: str, make: Callable[[Path], None]) -> tuple[Path, bool]:
        """The folder of a key, and whether it was there. If not, `make` fills an empty one, which is then renamed.

        Of several processes one makes it, and the others wait. What `make` raises passes through and leaves nothing.
        Raises DiskFull where nothing has room.
        """
        target = self.place(kind, key)
        if touch(target):
            return target, True
        return self.attempt(lambda folder: self._produced(folder, kind, key, make))

    def _produced(self, folder: Path, kind: str, key: str, make: Callable[[Path], None]) -> tuple[Path, bool]:
        target = folder / kind / key
        with contextlib.ExitStack() as stack:
            with disk.watched(folder):
                stack.enter_context(self.lock(f"{kind}-{key}", folder))
                if target.is_dir():
                    return target, True
                work = Path(tempfile.mkdtemp(prefix=".making-", dir=folder / kind))
            try:
                with disk.watched(folder):
                    make(work)
                    work.rename(target)
            except BaseException:
                shutil.rmtree(work, ignore_errors=True)
                raise
        return target, False

    def forget(self, kind: str, key: str, outdated: Callable[[Path], bool] = lambda folder: True) -> None:
        """Remove the folder of a key, if there is one.

        outdated: asked under the lock: another process may have made it anew meanwhile.
        """
        for folder in self._folders:
            target = folder / kind / key
            # What can't be locked can't be removed either: its key is made again in the stand-in.
            with contextlib.suppress(OSError), self.lock(f"{kind}-{key}", folder):
                if outdated(target):
                    shutil.rmtree(target, ignore_errors=True)

    def read_case(self, key: str, unchanged: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any] | None:
        """An entry of `cases`, if there is one and all files that it depends on are as they were.

        unchanged: whether its record of packages holds.
        """
        path = self.place("cases", f"{key}.json")
        try:
            entry = json.loads(path.read_text())
            files: dict[str, str] = entry["files"]
        except (OSError, ValueError, KeyError):
            return None
        if any(hash_file(name) != digest for name, digest in files.items()):
            return None
        if not unchanged(entry.get("packages") or {}):
            return None
        content: dict[str, Any] = entry["content"]
        touch(path)
        if "digest_of_all" in content:
            touch(self.place("references", content["digest_of_all"]))
        return content

    def files_of(self, digest: str) -> Mapping[str, str]:
        """The files, with their hashes, that the entry of this digest depends on; none if there is no such entry."""
        for path in (self.folder / "cases").glob("*.json"):
            try:
                entry = json.loads(path.read_text())
                if entry["content"].get("digest_of_all") == digest:
                    files: dict[str, str] = entry["files"]
                    return files
            except (OSError, ValueError, KeyError):
                continue
        return {}

    def write_case(
        self,
        key: str,
        content: Mapping[str, Any],
        files: Mapping[str, str],
        packages: Mapping[str, Any],
        folder: Path | None = None,
        place: Path | None = None,
    ) -> dict[str, Any]:
        """Store an entry with the hashes of the files, and the record of packages, that it depends on.

        Returns the content with its digest. That covers the key, the files and the content, and names what is made from
        it. Not the record: it grows with all that a process has done before. `folder`, if given, holds what belongs to
        the entry; it becomes references/<digest>. place: the folder that is written to, see `attempt`.
        """
        place = place or self.folder
        digest = hash_of(key, dict(files), content)
        stored = {**content, "digest_of_all": digest}
        if folder is not None:
            target = place / "references" / digest
            shutil.rmtree(target, ignore_errors=True)
            folder.rename(target)
        path = place / "cases" / f"{key}.json"
        handle, temporary = tempfile.mkstemp(prefix=".making-", dir=path.parent)
        try:
            with os.fdopen(handle, "w") as file:
                json.dump({"files": dict(files), "packages": packages, "content": stored}, file)
            Path(temporary).rename(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return stored


def _make_folders(folder: Path) -> None:
    for name in ("cases", "references", "artifacts", "refusals", "threads", "cpp", "locks"):
        (folder / name).mkdir(exist_ok=True, mode=0o700)


def dumps(value: Any) -> str:
    """JSON for a file in the cache."""
    return json.dumps(value, indent=1)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of the cache."""
    content: dict[str, Any] = json.loads(path.read_text())
    return content
