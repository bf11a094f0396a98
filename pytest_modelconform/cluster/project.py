"""The files of a project on a node: used where they are, if the node sees the same ones there, and else a copy.

A copy has one place for one project, run after run, and only what has changed is written anew: the keys of the cache
hold the paths of case files. (Ray's own `working_dir` has another path in each session of a cluster.)
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ..cache.fingerprint import hash_file, hash_of

# Bytes of a project that is sent: larger ones belong on a disk that all nodes see.
LARGEST = 2**29
# Copies of one project on a node, where several runs at a time have it in several states.
_COPIES = 16
# Folders that no project has its sources in, besides those that pytest doesn't look into.
_NEVER = ("__pycache__", ".git", ".hg", "node_modules", "*.egg-info", ".*_cache")


class ProjectRefused(Exception):
    """A project can't be sent to nodes, or put there. The message says why and what to do."""


@dataclass(frozen=True)
class Project:
    """The files below a folder, by their relative paths, each with its hash."""

    root: str
    files: Mapping[str, str]

    @property
    def is_here(self) -> bool:
        """Whether this machine has the same files at the same place."""
        return all(hash_file(Path(self.root, name)) == digest for name, digest in self.files.items())


def scan(root: Path, ignored: Sequence[str]) -> Project:
    """The files of a project: those that git tracks or would, or else all below the folder.

    ignored: patterns of folders that are left out where there is no git.
    """
    names = _of_git(root)
    if names is None:
        names = list(_walked(root, ignored))
    paths = {name: root / name for name in sorted(names)}
    return Project(str(root), {name: hash_file(path) for name, path in paths.items() if path.is_file()})


def _of_git(root: Path) -> list[str] | None:
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]


def _walked(root: Path, ignored: Sequence[str]) -> Iterator[str]:
    patterns = [*ignored, *_NEVER]
    for folder, folders, files in os.walk(root):
        # No environments: what is installed there is on the nodes, too.
        folders[:] = [
            name
            for name in folders
            if not any(fnmatch(name, pattern) for pattern in patterns) and not Path(folder, name, "pyvenv.cfg").exists()
        ]
        yield from (os.path.relpath(Path(folder, name), root) for name in files)


def pack(project: Project) -> bytes:
    """The files in an archive. Raises ProjectRefused for too many bytes."""
    root = Path(project.root)
    total = sum((root / name).stat().st_size for name in project.files if (root / name).is_file())
    if total > LARGEST:
        raise ProjectRefused(
            f"the files below {root} are {total / 2**20:.0f} MiB, and {LARGEST // 2**20} are sent at the most: put the "
            "project into a folder that all nodes see under the same path, or leave files out by .gitignore"
        )
    stream = io.BytesIO()
    # Links travel as what they lead to.
    with tarfile.open(fileobj=stream, mode="w", dereference=True) as archive:
        for name in project.files:
            archive.add(root / name, name, recursive=False)
    return stream.getvalue()


@dataclass(frozen=True)
class Copy:
    """A copy of a project on this machine, which no other run changes as long as this one has it."""

    root: Path
    lock: Any

    def release(self) -> None:
        """Leave it to others. The files stay: the next run may find them as they are."""
        self.lock.release()


def unpack(project: Project, data: bytes, folder: Path) -> Copy:
    """A copy of the project below `folder`. Raises ProjectRefused, or OSError for a disk that is full."""
    from filelock import FileLock, Timeout

    own = folder / hash_of(project.root)[:12]
    own.mkdir(parents=True, exist_ok=True, mode=0o700)
    for number in range(_COPIES):
        lock = FileLock(own / f"{number}.lock")
        with contextlib.suppress(Timeout):
            lock.acquire(blocking=False)
            root = own / str(number) / Path(project.root).name
            try:
                _bring_up_to_date(root, project, data)
            except BaseException:
                lock.release()
                raise
            return Copy(root, lock)
    raise ProjectRefused(f"{_COPIES} runs on this node use copies of {project.root} now: run it again later")


def _bring_up_to_date(root: Path, project: Project, data: bytes) -> None:
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    for folder, folders, files in os.walk(root, topdown=False):
        for name in files:
            path = Path(folder, name)
            if path.relative_to(root).as_posix() not in project.files:
                path.unlink()
        for name in folders:
            with contextlib.suppress(OSError):  # It is not empty.
                Path(folder, name).rmdir()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            target = root / member.name
            if member.name not in project.files or hash_file(target) == project.files[member.name]:
                continue
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            source = archive.extractfile(member)
            assert source is not None
            # A file that is being read keeps its content.
            temporary = target.with_name(f".{target.name}.new")
            with source, temporary.open("wb") as file:
                shutil.copyfileobj(source, file)
            temporary.chmod(member.mode)
            temporary.replace(target)
