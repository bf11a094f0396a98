"""What the cache keeps beside an artifact: what it took, and what it was made with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from ..cache import store
from ..cache.fingerprint import hash_file
from ..references.content import Packages
from ..workers import lookups
from . import typed


class Made(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an artifact was made.

    seconds: what that took, on all of the way from the model. bytes: its size. fresh: whether the case host that made
    it had done nothing before. packages: a record of workers/lookups.py. files: as in `Exported`. source: of the
    artifact that it was converted from. What that was made with is in no key either: a file that a case ships.
    """

    seconds: float
    bytes: int
    fresh: bool
    packages: Packages
    files: Mapping[str, str] = {}
    source: Made | None = None

    @property
    def is_valid(self) -> bool:
        """Whether the packages and files that it was made with are as they were, on all of the way from the model."""
        if not lookups.unchanged(self.packages):
            return False
        if any(hash_file(name) != digest for name, digest in self.files.items()):
            return False
        return self.source is None or self.source.is_valid

    @property
    def all_files(self) -> Mapping[str, str]:
        """`files`, on all of the way from the model."""
        return {**(self.source.all_files if self.source else {}), **self.files}

    def write(self, folder: Path) -> None:
        """Store it in an artifact's folder."""
        (folder / "export.json").write_text(store.dumps(typed.json_of(self)))

    @classmethod
    def read(cls, folder: Path) -> Made | None:
        """That of an artifact's folder; None where another version wrote it."""
        try:
            return typed.cached(store.read_json(folder / "export.json"), cls)
        except (OSError, ValueError):
            return None

    @classmethod
    def read_valid(cls, folder: Path) -> Made | None:
        """The same, and None where it isn't valid any more."""
        made = cls.read(folder)
        return made if made is not None and made.is_valid else None
