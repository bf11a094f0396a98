"""What has returned the same bits from several threads before, kept: the same artifact in the same runtime.

A race shows by luck, so each run tries; but what an earlier one tried in full, a later one tries with two threads.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..cache import store
from ..cache.fingerprint import fingerprint, hash_file, hash_of
from ..cache.inventory import touch
from ..cache.store import Cache
from ..terms.cell import Cell
from . import typed

if TYPE_CHECKING:
    from .pool import AnyWorker
    from .stages import Artifact

KIND, _FILE = "threads", "passed.json"


class Before(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Trials that passed: numbers of threads on one instance, and on clones. notes: what there was to say of them.

    clonable: whether there were the clones that were asked for.
    """

    counts: tuple[int, ...] = ()
    clones: tuple[int, ...] = ()
    clonable: bool = True
    notes: tuple[str, ...] = ()

    def covers(self, counts: Sequence[int], clones: Sequence[int]) -> bool:
        """Whether these numbers of threads are among those that passed."""
        return set(counts) <= set(self.counts) and (not self.clonable or set(clones) <= set(self.clones))


def key_of(cell: Cell, artifact: Artifact, worker: AnyWorker, sets: Sequence[str]) -> str:
    """What names the trials of a cell: all that decides how they go, but for luck.

    The artifact's own key has the case, its inputs and the machine, but not the files that a case ships. sets: of
    inputs, by name.
    """
    program = [[part, _digest(part)] for part in getattr(worker, "command", ())]
    how = [cell.runtime, cell.device, cell.dtype, cell.precision, cell.task]
    made_of = [artifact.folder.name, dict(artifact.files)]
    return hash_of(KIND, fingerprint(), made_of, how, worker.info, program, list(sets))


def _digest(part: str) -> str:
    """Of a file that a command names, "" of another word."""
    try:
        status = Path(part).stat()
    except OSError:
        return ""
    return _digest_of(part, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=64)
def _digest_of(path: str, changed: int, size: int) -> str:
    return hash_file(path)


def read(cache: Cache, key: str) -> Before | None:
    """The trials that passed under a key, if any did."""
    path = cache.place(KIND, key) / _FILE
    try:
        found = typed.cached(store.read_json(path), Before)
    except (OSError, ValueError):
        return None
    touch(path.parent)
    return found


def keep(cache: Cache, key: str, passed: Before) -> None:
    """Keep trials that passed. Never raises: it is the next run's time that is saved."""
    with contextlib.suppress(OSError):
        cache.produce(KIND, key, lambda folder: _write(folder, passed))


def forget(cache: Cache, key: str) -> None:
    """What has failed since is tried in full again."""
    cache.forget(KIND, key)


def _write(folder: Path, passed: Before) -> None:
    (folder / _FILE).write_text(json.dumps(typed.json_of(passed)))
