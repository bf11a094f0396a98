"""The session's log: append-only JSON lines: a header, a record a cell, a footer. All reports are made from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from ..outcome import Cell, Outcome, from_record, plain, to_record

SCHEMA = 1


class LogError(ValueError):
    """A file that is no log. The message names file and line."""


@dataclass(frozen=True)
class Log:
    """What a log holds. complete: whether it has its footer, so that nothing was cut off.

    environment: versions, machine and options of the session.
    """

    environment: Mapping[str, Any]
    cells: list[tuple[Cell, Outcome]] = field(default_factory=list)
    complete: bool = False


class LogWriter:
    """Writes a log line by line, so that what is finished is on disk whatever happens next."""

    def __init__(self, path: Path, environment: Mapping[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file: TextIO = path.open("w", encoding="utf-8")
        self._write({"kind": "header", "schema": SCHEMA, "environment": environment})

    def cell(self, cell: Cell, outcome: Outcome) -> None:
        """Append the record of a cell."""
        self._write({"kind": "cell", **to_record(cell, outcome)})

    def close(self) -> None:
        """Append the footer."""
        if not self._file.closed:
            self._write({"kind": "footer"})
            self._file.close()

    def _write(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(plain(dict(line)), allow_nan=False) + "\n")
        self._file.flush()

    def __enter__(self) -> LogWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read(path: Path) -> Log:
    """Read a log. One that was cut off is read as far as it goes. Raises LogError for a file that is none."""
    lines = path.read_text(encoding="utf-8").splitlines()
    environment: Mapping[str, Any] = {}
    cells: list[tuple[Cell, Outcome]] = []
    complete = False
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            kind = entry["kind"]
            if number == 1:
                if kind != "header" or entry["schema"] != SCHEMA:
                    raise LogError(f"{path}:1: not a header of schema {SCHEMA}")
                environment = entry["environment"]
            elif kind == "cell":
                cells.append(from_record(entry))
            elif kind == "footer":
                complete = True
        except LogError:
            raise
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines) and number > 1:
                break  # The last line of a log that was cut off in the middle of it.
            raise LogError(f"{path}:{number}: no record of a log: {error!r}") from error
    if not lines:
        raise LogError(f"{path}: empty")
    return Log(environment, cells, complete)
