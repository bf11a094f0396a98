"""Red cells of a session that wait for a search, in a folder that all its processes share; and what came of them.

Each process leaves the red cells that it sees. Whoever has nothing left to run claims one after another, and leaves
what the search came to; the process that gets all results reads that at the end.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..cache.fingerprint import hash_of
from ..report.entries import cause
from ..terms.blame import UNKNOWN, Blame
from ..terms.cell import CaseRef, Cell
from ..terms.outcome import Outcome
from ..terms.records import from_record, to_record

_RED, _CLAIM, _BLAME = ".red.json", ".claim", ".blame.json"
_RUNS, _FINISHED = "runs", "finished"


@dataclass(frozen=True)
class Red:
    """A cell that fails. ref: where its case is."""

    cell: Cell
    ref: CaseRef
    outcome: Outcome

    @property
    def key(self) -> str:
        """The same for all cells that fail for the same reason."""
        return hash_of(repr(cause(self.cell, self.outcome)), self.cell.dtype)

    def to_json(self) -> dict[str, Any]:
        """Plain; `from_json` reads it."""
        record = to_record(self.cell, self.outcome)
        return {"record": record, "ref": {**asdict(self.ref), "file": str(self.ref.file)}}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Red:
        """Of what `to_json` wrote."""
        cell, outcome = from_record(stored["record"])
        ref = stored["ref"]
        typed = {
            "file": Path(ref["file"]),
            "operators": tuple((kind, tuple(names)) for kind, names in ref["operators"]),
            "own": tuple(ref["own"]),
        }
        return cls(cell, CaseRef(**{**ref, **typed}), outcome)


@dataclass(frozen=True)
class Waiting:
    """The folder, which need not be there.

    seen: what this process has read there, by file. Files are written once, and with many red cells each claim would
    read all of them again.
    """

    folder: Path
    seen: dict[Path, Cell] = field(default_factory=dict, compare=False, repr=False)

    # -- who runs cells, and may leave some ------------------------------------------------------------------------

    def enter(self) -> None:
        """This process runs cells."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._runs(os.getpid()).touch()

    def finish(self) -> None:
        """This process has run all of its cells."""
        (self.folder / _FINISHED).touch()
        self._runs(os.getpid()).unlink(missing_ok=True)

    @property
    def finished(self) -> float:
        """When the last process so far had run all of its cells, by time.time(); 0 where none says so."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / _FINISHED).stat().st_mtime
        return 0.0

    def others_run(self) -> bool:
        """Whether a process runs cells still. One that died has not said that it finished."""
        return any(_is_alive(int(file.suffix[1:])) for file in self.folder.glob(f"{_RUNS}.*"))

    def _runs(self, pid: int) -> Path:
        return self.folder / f"{_RUNS}.{pid}"

    # -- red cells -------------------------------------------------------------------------------------------------

    def leave(self, red: Red) -> Path:
        """Leave a red cell. Those that fail for the same reason are searched once.

        Returns what to remove where it turns out to be none.
        """
        file = self.folder / red.key / f"{hash_of(red.cell.id)}{_RED}"
        file.parent.mkdir(parents=True, exist_ok=True)
        _write(file, red.to_json())
        return file

    def claim(self) -> Red | None:
        """A cell for this process to search in; None where nothing is left.

        First one of a case, format and runtime that has come least so far: many cells may fail at one operator.
        """
        claimed: Counter[str] = Counter()
        found = []
        for place in self._places():
            cell = self._first(place)
            if (place / _CLAIM).exists():
                claimed.update(_kinds(cell))
            else:
                found.append((place, cell))
        in_order = sorted(found, key=lambda one: (sum(map(claimed.__getitem__, _kinds(one[1]))), one[1].id))
        for place, cell in in_order:
            red = place / f"{hash_of(cell.id)}{_RED}"
            try:
                # At once, and only once: whoever comes second sees the one that is searched in.
                os.link(red, place / _CLAIM)
            except FileExistsError:
                continue
            return _read(red)
        return None

    def end(self, red: Red, blame: Blame) -> None:
        """Leave what a search came to."""
        _write(self.folder / red.key / _BLAME, blame.to_json())

    @property
    def left(self) -> list[Cell]:
        """Cells that nobody has searched in, one a reason."""
        found = (self._first(place) for place in self._places() if not (place / _CLAIM).exists())
        return sorted(found, key=lambda cell: cell.id)

    def begun(self) -> dict[Cell, Blame | None]:
        """The cells that somebody searches or has searched in, with what that came to as soon as it is known."""
        claims = sorted(self.folder.glob(f"*/{_CLAIM}"))
        return {self._cell(claim): _blame(claim.parent) for claim in claims}

    def found(self) -> Iterator[tuple[Cell, Blame]]:
        """What searches came to, of all cells that fail for the same reason as the one that was searched in."""
        for place in self._places():
            if (blame := _blame(place)) is not None:
                first = self._first(place)
                for red in _reds(place):
                    yield red.cell, blame if red.cell == first else _of_other(blame, first, red.cell)

    def remove(self) -> None:
        """Remove all of it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _places(self) -> list[Path]:
        return sorted(place for place in self.folder.glob("*") if any(place.glob(f"*{_RED}")))

    def _first(self, place: Path) -> Cell:
        """The one that is searched in."""
        claimed = place / _CLAIM
        if claimed.exists():
            return self._cell(claimed)
        return min(map(self._cell, place.glob(f"*{_RED}")), key=lambda cell: cell.id)

    def _cell(self, path: Path) -> Cell:
        if path not in self.seen:
            self.seen[path] = _read(path).cell
        return self.seen[path]


def _reds(place: Path) -> list[Red]:
    return [_read(path) for path in sorted(place.glob(f"*{_RED}"))]


def _read(path: Path) -> Red:
    return Red.from_json(json.loads(path.read_bytes()))


def _blame(place: Path) -> Blame | None:
    path = place / _BLAME
    return Blame.from_json(json.loads(path.read_bytes())) if path.exists() else None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _of_other(blame: Blame, searched: Cell, cell: Cell) -> Blame:
    """What is known of a cell by a search in another one: of another format not, whose fault it is."""
    guilty = blame.guilty
    if cell.format != searched.format:
        guilty = tuple(replace(one, party=UNKNOWN, why="") for one in guilty)
    # The tensors of a case may be large: once in a log.
    return replace(blame, guilty=guilty, note=f"{blame.note} As in {searched.name}.".lstrip(), tensors="")


def _kinds(cell: Cell) -> list[str]:
    return [f"case {cell.file}::{cell.case}", f"column {cell.format} {cell.runtime}"]


def _write(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file that others see whole or not at all."""
    partial = path.with_suffix(f".partial{os.getpid()}")
    partial.write_text(json.dumps(content), encoding="utf-8")
    partial.replace(path)
