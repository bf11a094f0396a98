"""The content-addressed cache: what it holds, under which keys, and who may write.

    cases/<key>.json       what importing a case file or building a case came to, the files that it depends on, and
                           a record of the packages (workers/lookups.py)
    references/<key>/      inputs, eager's outputs and the noise floor of a case
    artifacts/<key>/       a case stored in a format
    refusals/<key>/        what an exporter said instead, where that is expected (see cells/refusals.py)
    cpp/<key>/             C++ sources of cases, compiled (see building/case_library.py)
    harness/…              compiled C++ harnesses (see building/harness.py)
    sessions/…             locks of the processes that use the folder (see sessions.py)

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
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .fingerprint import hash_file, hash_of
from .inventory import touch


class CacheRefused(Exception):
    """The cache folder can't be used. The message says why and what to do."""


def default_folder() -> Path:
    """$MODELCONFORM_CACHE, or the user's cache folder."""
    if folder := os.environ.get("MODELCONFORM_CACHE"):
        return Path(folder)
    import platformdirs

    return platformdirs.user_cache_path("pytest-modelconform", appauthor=False)


class Cache:
    """A cache folder. Raises CacheRefused for one that belongs to another user: artifacts execute code."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
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
        for name in ("cases", "references", "artifacts", "refusals", "cpp", "locks"):
            (folder / name).mkdir(exist_ok=True, mode=0o700)

    def lock(self, name: str) -> contextlib.AbstractContextManager[Any]:
        """Only one process at a time is inside the lock of a name. Freed by the system when its holder dies."""
        from filelock import FileLock

        return FileLock(self.folder / "locks" / f"{name}.lock")

    def produce(self, kind: str, key: str, make: Callable[[Path], None]) -> tuple[Path, bool]:
        """The folder of a key, and whether it was there. If not, `make` fills an empty one, which is then renamed.

        Of several processes one makes it, and the others wait. What `make` raises passes through and leaves nothing.
        """
        target = self.folder / kind / key
        if touch(target):
            return target, True
        with self.lock(f"{kind}-{key}"):
            if target.is_dir():
                return target, True
            work = Path(tempfile.mkdtemp(prefix=".making-", dir=self.folder / kind))
            try:
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
        target = self.folder / kind / key
        with self.lock(f"{kind}-{key}"):
            if outdated(target):
                shutil.rmtree(target, ignore_errors=True)

    def read_case(self, key: str, unchanged: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any] | None:
        """An entry of `cases`, if there is one and all files that it depends on are as they were.

        unchanged: whether its record of packages holds.
        """
        path = self.folder / "cases" / f"{key}.json"
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
            touch(self.folder / "references" / content["digest_of_all"])
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
    ) -> dict[str, Any]:
        """Store an entry with the hashes of the files, and the record of packages, that it depends on.

        Returns the content with its digest. That covers the key, the files and the content, and names what is made from
        it. Not the record: it grows with all that a process has done before. `folder`, if given, holds what belongs to
        the entry; it becomes references/<digest>.
        """
        digest = hash_of(key, dict(files), content)
        stored = {**content, "digest_of_all": digest}
        if folder is not None:
            target = self.folder / "references" / digest
            shutil.rmtree(target, ignore_errors=True)
            folder.rename(target)
        path = self.folder / "cases" / f"{key}.json"
        handle, temporary = tempfile.mkstemp(prefix=".making-", dir=path.parent)
        with os.fdopen(handle, "w") as file:
            json.dump({"files": dict(files), "packages": packages, "content": stored}, file)
        Path(temporary).rename(path)
        return stored


def dumps(value: Any) -> str:
    """JSON for a file in the cache."""
    return json.dumps(value, indent=1)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of the cache."""
    content: dict[str, Any] = json.loads(path.read_text())
    return content
