"""`--modelconform-resume LOG`: what a session came to before it was ended stands, and the rest runs.

A cell's record stands only where its case is still what it was: its files, what they import, the packages, this machine
(`Outcome.made_of`). So nothing that was right before an edit is shown as right after it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ..expected import file as expected_file
from ..report.log import Log, LogError, NothingYet, read
from ..report.plural import counted
from ..terms.cell import Cell
from ..terms.outcome import Outcome, Verdict
from ..terms.records import from_record, to_record

_NAME = "--modelconform-resume"
# What of a log's header decides what cells come to: of all of it, and name by name of these tables.
_SAME = ("pytest-modelconform", "python")
_TABLES = ("packages", "environments")
_OPTIONS = ("threads", "exports", "strict")


class Resumed:
    """The records of a log that need not be made again. path: the log. environment: its header's; {} for none."""

    def __init__(self, path: Path, log: Log) -> None:
        self.path = path
        self.environment = log.environment
        # Compressed: each process of the session has all of them.
        self._records: dict[Cell, bytes] = {}
        # What says nothing of a cell is no reason not to run it, and takes nothing away that an earlier session found:
        # one that went on with a log, and was ended as well, has a "not run" behind each record it did not come to.
        said = {cell: outcome for cell, outcome in log.cells if not outcome.is_silent}
        for cell, outcome in said.items():
            self._records[cell] = zlib.compress(json.dumps(to_record(cell, outcome)).encode(), 1)

    @classmethod
    def of(cls, path: Path, own: Path | None = None) -> Resumed:
        """That of a log. Raises pytest.UsageError for a file that is none.

        own: the log that this session writes. Where that is the same, it need not be there yet: the same command then
        begins a run and goes on with it.
        """
        try:
            return cls(path, read(path, carried=True))
        except NothingYet:
            return cls(path, Log({}))
        except LogError as error:
            raise pytest.UsageError(f"{_NAME}: {error}") from error
        except OSError as error:
            if isinstance(error, FileNotFoundError) and own is not None and own.resolve() == path.resolve():
                return cls(path, Log({}))
            raise pytest.UsageError(f"{_NAME}: {path}: {error.strerror or error}") from error

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, cell: object) -> bool:
        return cell in self._records

    def records(self, timeout: float) -> Iterator[dict[str, Any]]:
        """Those that may stand. timeout: this session's, which a log of it will have in its header."""
        for packed in self._records.values():
            record = json.loads(zlib.decompress(packed))
            if not self._had_less_time(record["verdict"], timeout):
                yield record

    def outcome(self, cell: Cell, timeout: float, made_of: Callable[[], str]) -> Outcome | None:
        """What a cell came to, before expected.toml is asked; None if it has to run.

        timeout: this session's. made_of: what the cell's case is made of now; "" where nobody knows.
        """
        packed = self._records.get(cell)
        if packed is None:
            return None
        _, outcome = from_record(json.loads(zlib.decompress(packed)))
        if self._had_less_time(outcome.verdict, timeout):
            return None
        return expected_file.unjudged(outcome) if outcome.made_of and outcome.made_of == made_of() else None

    def _had_less_time(self, verdict: str, timeout: float) -> bool:
        """Whether a cell ran into another limit than this session's."""
        return verdict == Verdict.TIMEOUT and self.environment.get("options", {}).get("timeout") != timeout

    def refuse_others(self, now: Mapping[str, Any]) -> None:
        """Raises pytest.UsageError where a session with this header would come to something else. now: its header."""
        if not self._records:
            return
        before = self.environment
        pairs = [(name, before.get(name), now.get(name)) for name in _SAME]
        for table in _TABLES:
            old, new = before.get(table, {}), now.get(table, {})
            pairs += [(name, old[name], new[name]) for name in sorted(old.keys() & new.keys())]
        old, new = before.get("options", {}), now.get("options", {})
        pairs += [(f"--modelconform-{_option(name)}", old.get(name), new.get(name)) for name in _OPTIONS if name in old]
        if found := next(((what, was, now) for what, was, now in pairs if was != now), None):
            what, was, is_now = found
            raise pytest.UsageError(
                f"{_NAME}: {self.path} was written with {what} {_said(was)}, and this run has {_said(is_now)}: results "
                f"of both would be in one report. Run it with the same, or leave {_NAME} out to run all cells."
            )

    def header(self) -> str:
        """The line in the terminal."""
        if not self._records:
            return f"modelconform: nothing of {self.path} to go on with: all cells run"
        return f"modelconform: going on with {self.path}, where {counted(len(self), 'cell')} had run"


def _option(name: str) -> str:
    return name.removesuffix("s") if name == "exports" else name


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{value[name]!r}" for name in value) or "nothing"
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value)) or "nothing"
    return "none" if value is None else str(value)
