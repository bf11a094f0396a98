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
    it had done nothing before. packages: a record of workers/lookups.py. files: as in `Exported`.
    """

    seconds: float
    bytes: int
    fresh: bool
    packages: Packages
    files: Mapping[str, str] = {}

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
        """The same, and None where the packages or files that it was made with are others now."""
        made = cls.read(folder)
        if made is None or not lookups.unchanged(made.packages):
            return None
        return made if all(hash_file(Path(name)) == digest for name, digest in made.files.items()) else None
