"""Results as they come: a file of JSON lines for each piece of work, so that a crash loses nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..faults.judge import Record

ADVERSARY, REAL, MUTANTS = KINDS = ("adversary", "real", "mutants")


class Part:
    """The file of a piece of work. It is done when its last line says so."""

    def __init__(self, folder: Path, kind: str, name: str) -> None:
        self.path = folder / "parts" / kind / f"{name}.jsonl"

    @property
    def done(self) -> bool:
        """Whether the work was ended, by success or by a crash that is in it."""
        return any("done" in row for row in self.rows())

    def rows(self) -> list[dict[str, Any]]:
        """What is in it; a last line that was cut off is not."""
        found = []
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        for line in lines:
            try:
                found.append(json.loads(line))
            except ValueError:
                break
        return found

    def begin(self) -> None:
        """Empty it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("")

    def put(self, **content: Any) -> None:
        """Append a line."""
        with self.path.open("a") as file:
            file.write(json.dumps(content) + "\n")

    def record(self, record: Record) -> None:
        """Append a record."""
        self.put(record=plain(record))


def plain(record: Record) -> dict[str, Any]:
    """A record as JSON; what isn't finite is text."""
    return {k: str(v) if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(record).items()}


def record_of(row: dict[str, Any]) -> Record:
    """The inverse of `plain`."""
    values: dict[str, Any] = {k: float(v) if v in ("inf", "-inf", "nan") else v for k, v in row.items()}
    return Record(**values)


def records(folder: Path, kind: str, names: Iterable[str] | None = None) -> Iterator[Record]:
    """All records of a kind, or those of some pieces of work."""
    files = sorted((folder / "parts" / kind).glob("*.jsonl"))
    wanted = None if names is None else set(names)
    for file in files:
        if wanted is None or file.stem in wanted:
            for row in Part(folder, kind, file.stem).rows():
                if "record" in row:
                    yield record_of(row["record"])


def seconds(folder: Path, kind: str) -> float:
    """How long all work of a kind took."""
    rows = (row for file in (folder / "parts" / kind).glob("*.jsonl") for row in Part(folder, kind, file.stem).rows())
    return sum(float(row["done"]) for row in rows if "done" in row)
