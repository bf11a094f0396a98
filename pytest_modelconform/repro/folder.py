"""What `modelconform repro` writes: the files that a script reads, the script, and a README for a bug report."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..cache.files import copy
from ..terms.wording import Refused
from ..workers import arrays

# Lists what an earlier call wrote, so that nothing else is overwritten.
MANIFEST = ".modelconform-repro.json"


@dataclass
class Folder:
    """A folder of ours. written: names in it, in order."""

    path: Path
    written: list[str] = field(default_factory=list)

    @classmethod
    def opened(cls, path: Path) -> Folder:
        """A new or empty folder, or that of an earlier call, emptied of what that wrote. Raises Refused."""
        check(path)
        for name in _earlier(path) or ():
            target = path / name
            if target.is_dir():
                shutil.rmtree(target)
            else:
                target.unlink(missing_ok=True)
        path.mkdir(parents=True, exist_ok=True)
        return cls(path)

    def add(self, source: Path, name: str = "") -> None:
        """Copy a file or a folder."""
        target = self.path / (name or source.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        copy(source, target)
        self._note(name or source.name)

    def add_arrays(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a tensor file."""
        arrays.write(self.path / name, content)
        self._note(name)

    def add_text(self, name: str, text: str) -> None:
        """Write a text."""
        (self.path / name).write_text(text)
        self._note(name)

    def add_artifact(self, folder: Path) -> None:
        """Copy an artifact's files, but for our own notes on how it was made."""
        for path in sorted(folder.iterdir()):
            if path.name != "export.json":
                self.add(path)

    def close(self, cell: str) -> None:
        """Write the list of what was written."""
        (self.path / MANIFEST).write_text(json.dumps({"cell": cell, "files": self.written}, indent=1) + "\n")

    def _note(self, name: str) -> None:
        if name not in self.written:
            self.written.append(name)


def check(path: Path) -> None:
    """Raises Refused for a folder that can't be made, or holds something else than an earlier call's files."""
    if path.exists() and not path.is_dir():
        raise Refused(f"{path} is a file. Name a folder to write to")
    if path.is_dir() and any(path.iterdir()) and _earlier(path) is None:
        raise Refused(f"{path} isn't empty, and no earlier repro wrote it. Name a new folder")
    # Tried before the cell runs, which takes its time.
    missing = [folder for folder in (path, *path.absolute().parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / MANIFEST).open("ab").close()
        if _earlier(path) is None:
            (path / MANIFEST).unlink()
    except OSError as error:
        raise Refused(f"{path} can't be written to: {error.strerror or error}. Name another folder") from error
    finally:
        for folder in missing:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _earlier(path: Path) -> Sequence[str] | None:
    """Names that an earlier call wrote; None if there was none."""
    try:
        found = json.loads((path / MANIFEST).read_text())["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    root = path.resolve()
    # Whatever the list says, nothing outside of the folder is removed.
    return [name for name in found if isinstance(name, str) and root in (path / name).resolve().parents]
