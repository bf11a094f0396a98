"""The session's log: append-only JSON lines: a header, a record a cell, a footer. All reports are made from it.

A log may come from elsewhere: it is data, and all of it is checked when it is read.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import itertools
import json
import lzma
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TextIO, cast

from ..terms.cell import Cell
from ..terms.outcome import Outcome, Verdict
from ..terms.records import from_record, plain, to_record
from . import guilty
from .packed import Packed

SCHEMA = 1
_NO_BLAME = "blame is not what a search for a guilty operator came to"
# The first line of each, as `LogWriter` writes it.
_BEGINS = b'{"kind": "header"'
_LINE_ENDS = re.compile(r"[\n\t\u2028\u2029]")
# What logs are named; a session's own log is not compressed.
ENDINGS = (".jsonl", ".jsonl.xz", ".jsonl.gz")
# What a compressed file begins with.
_COMPRESSED: Mapping[str, bytes] = {".xz": b"\xfd7zXZ\0", ".gz": b"\x1f\x8b"}


class LogError(ValueError):
    """A file that is no log. The message names file and line."""


class NothingYet(LogError):
    """The log of a run that ended before its first line was on the disk."""


@dataclass(frozen=True)
class Shard:
    """Which part of a run a log is of. index: from 1 to count. recordings: by which the run was split, their digest.

    cells: of the whole run, each with the index of its shard; so what is missing is known from what is there. Empty in
    a log that was cut off.
    """

    index: int
    count: int
    cells: Mapping[Cell, int] = field(default_factory=dict)
    recordings: str = ""

    def __str__(self) -> str:
        return f"shard {self.index} of {self.count}"


@dataclass(frozen=True)
class Log:
    """What a log holds. complete: whether it has its footer, so that nothing was cut off.

    environment: versions, machine and options of the session. shard: if it was one.
    """

    environment: Mapping[str, Any]
    cells: list[tuple[Cell, Outcome]] = field(default_factory=list)
    complete: bool = False
    shard: Shard | None = None


def missing(log: Log) -> list[str]:
    """The shards that a merged log lacks, in words."""
    return list(log.environment.get("missing", ()))


class LogWriter:
    """Writes a log line by line, so that what is finished is on disk whatever happens next.

    shard: index and count, if the session is one; recordings: those by which it was split, see `Shard`. carried:
    records of an earlier log, for who goes on with this one; readers ignore them unless they ask.
    """

    def __init__(
        self,
        path: Path,
        environment: Mapping[str, Any],
        shard: tuple[int, int] | None = None,
        recordings: str = "",
        carried: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        part = {"shard": {"index": shard[0], "count": shard[1], "recordings": recordings}} if shard else {}
        header = {"kind": "header", "schema": SCHEMA, "environment": environment, **part}
        records = iter(carried)
        first = next(records, None)
        self._file: TextIO
        if first is None:
            self._file = path.open("w", encoding="utf-8")
            self._write(header)
            return
        # The earlier log may be this very file, which keeps what it has until all of that is in the new one.
        target = path.resolve()
        beside = target.with_name(f".{target.name}-{os.getpid()}")
        self._file = beside.open("w", encoding="utf-8")
        try:
            self._write(header)
            for record in itertools.chain([first], records):
                self._line({**record, "kind": "carried"})
            os.fsync(self._file.fileno())
            beside.replace(target)
        except BaseException:
            self._file.close()
            beside.unlink(missing_ok=True)
            raise

    def cell(self, cell: Cell, outcome: Outcome) -> None:
        """Append the record of a cell."""
        self.record(to_record(cell, outcome))

    def record(self, record: Mapping[str, Any]) -> None:
        """The same, of a record that `to_record` made."""
        self._line({"kind": "cell", **record})

    def note(self, cell: Cell, note: str) -> None:
        """Append what only came out after a cell's record was written."""
        self._write({"kind": "note", "cell": asdict(cell), "note": note})

    def blame(self, cell: Cell, blame: Mapping[str, Any]) -> None:
        """Append which operator a cell fails at, which is looked for once all cells have ended."""
        self._write({"kind": "blame", "cell": asdict(cell), "blame": blame})

    def close(self, sharded: Mapping[Cell, int] | None = None, time: Mapping[str, Any] | None = None) -> None:
        """Append the footer.

        sharded: all cells of a sharded run, each with the index of its shard. time: what plugin/accounting.py counted.
        """
        if not self._file.closed:
            cells = {"cells": [[index, *astuple(cell)] for cell, index in sharded.items()]} if sharded else {}
            self._write({"kind": "footer", **cells, **({"time": time} if time else {})})
            self._file.close()

    def abandon(self) -> None:
        """Close the file without a footer: what follows is missing."""
        self._file.close()

    def _write(self, line: Mapping[str, Any]) -> None:
        self._line(plain(dict(line)))

    def _line(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(line, allow_nan=False) + "\n")
        self._file.flush()

    def __enter__(self) -> LogWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def write(log: Log, path: Path) -> None:
    """Write a log as a whole, with its footer if it is complete; compressed if the path ends in `.xz` or `.gz`.

    It is no shard any more.
    """
    if path.suffix in _COMPRESSED:
        with tempfile.TemporaryDirectory() as folder:
            plainly = Path(folder) / "run.jsonl"
            write(log, plainly)
            path.parent.mkdir(parents=True, exist_ok=True)
            opened = lzma.open if path.suffix == ".xz" else gzip.open
            with plainly.open("rb") as source, opened(path, "wb") as target:
                shutil.copyfileobj(source, target)
        return
    writer = LogWriter(path, log.environment)
    for cell, outcome in log.cells:
        writer.cell(cell, outcome)
    if log.complete:
        writer.close()
    else:
        writer.abandon()


def read(path: Path, carried: bool = False) -> Log:
    """Read a log, which may be compressed: `.jsonl.xz`, `.jsonl.gz`. Raises LogError for a file that is none.

    One that was cut off is read as far as it goes. Line by line, and what few reports look into stays packed: a log of
    10,000 cells is no reason to take much memory.
    """
    found = _Reader(path, carried)
    number = 0
    with _opened(path) as file:
        # Not as text, whose lines also end at what JSON may hold within a text.
        for number, raw in enumerate(_lines(path, file), 1):
            try:
                found.line(number, raw.decode("utf-8"))
            except UnicodeDecodeError as error:
                raise LogError(f"{path} is not the log of a run: {error}") from error
            except LogError:
                raise
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                if not raw.endswith(b"\n") and (number > 1 or raw.startswith(_BEGINS[: len(raw)])):
                    break  # The last line of a log that was cut off in the middle of it.
                raise LogError(f"{path}:{number}: this line is not a record of a log: {_said(error)}") from error
    if not found.begun:
        cut = "is cut off within its first line: nothing of that run is known"
        raise NothingYet(f"{path} {cut if number else 'is empty: the log of a run has a header at least'}")
    return Log(found.environment, found.cells, found.complete, found.shard)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """A log as the bytes of its lines, whatever its name is. It is opened once: it may be a pipe."""
    with path.open("rb") as file:
        begin = file.peek(8)
        if begin.startswith(_COMPRESSED[".xz"]):
            with lzma.open(file) as unpacked:
                yield unpacked
        elif begin.startswith(_COMPRESSED[".gz"]):
            with gzip.open(file) as inflated:
                yield cast("IO[bytes]", inflated)
        else:
            yield file


def _lines(path: Path, file: IO[bytes]) -> Iterator[bytes]:
    """The lines of a log; of a compressed one that was cut off those that are there."""
    try:
        yield from file
    except EOFError:
        return
    except (lzma.LZMAError, gzip.BadGzipFile, zlib.error) as error:
        raise LogError(f"{path} can't be decompressed: {error}") from error


class _Reader:
    """What the lines of a log have come to so far."""

    def __init__(self, path: Path, carried: bool = False) -> None:
        self.path = path
        self.begun = False
        self._of_cells = ("cell", "carried") if carried else ("cell",)
        self.environment: Mapping[str, Any] = {}
        self.cells: list[tuple[Cell, Outcome]] = []
        self.complete = False
        self.shard: Shard | None = None
        # Where the last record of each of the first so many cells is.
        self._places: dict[Cell, int] = {}
        self._placed = 0

    def line(self, number: int, text: str) -> None:
        """Take one more. Raises whatever shows that it is no record."""
        entry = plain(json.loads(text))
        kind = entry["kind"]
        if number == 1:
            if kind != "header" or entry["schema"] != SCHEMA:
                raise LogError(
                    f"{self.path}:1: this is not the log of a run: a log begins with a header of schema {SCHEMA}"
                )
            self.environment = _environment(entry["environment"])
            self.begun = True
            self.shard = _shard(entry["shard"]) if "shard" in entry else None
        elif kind in self._of_cells:
            self.cells.append(_checked(*from_record(entry)))
        elif kind == "note":
            self._note(_one_line(Cell(**entry["cell"])), entry["note"])
        elif kind == "blame":
            _need(guilty.is_blame(entry["blame"]), _NO_BLAME)
            self._change(_one_line(Cell(**entry["cell"])), lambda outcome: replace(outcome, blame=entry["blame"]))
        elif kind == "footer":
            self.complete = True
            if self.shard is not None:
                cells = _sharded(entry.get("cells", []), self.shard.count)
                self.shard = replace(self.shard, cells=cells)

    def _note(self, cell: Cell, note: str) -> None:
        """Add a note to the last record of a cell, before what expected.toml says, which is shown as the last one."""
        _need(isinstance(note, str), "note is not a text")
        self._change(cell, lambda outcome: replace(outcome, notes=(note, *outcome.notes)))

    def _change(self, cell: Cell, change: Callable[[Outcome], Outcome]) -> None:
        """Add to the last record of a cell what was written after it."""
        for place in range(self._placed, len(self.cells)):
            self._places[self.cells[place][0]] = place
        self._placed = len(self.cells)
        if (found := self._places.get(cell)) is not None:
            self.cells[found] = (cell, change(self.cells[found][1]))


def _said(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it lacks the field {error}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


# -- what is expected of a log's values: reports rely on it ------------------------------------------------------------


def _need(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(what)


def _is_number(value: Any) -> bool:
    # An integer that no float can hold could not be shown as one.
    return value is None or type(value) is float or (type(value) is int and abs(value) < 1 << 1000)


def _texts(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)


def _optional(kind: type) -> Callable[[Any], bool]:
    return lambda value: value is None or isinstance(value, kind)


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "message": lambda value: isinstance(value, str),
    "made_of": lambda value: isinstance(value, str),
    "expected": _optional(bool),
    **dict.fromkeys(
        ("bits", "reference_bits", "loss", "worst", "max_abs", "artifact_bytes", "duration", "memory"), _is_number
    ),
    "cached": _optional(bool),
    "strict": lambda value: isinstance(value, bool),
    "notes": _texts,
    "hints": _texts,
    "threads": _optional(dict),
    "sees": _optional(dict),
    "compiled": _optional(dict),
    "blame": lambda value: value is None or guilty.is_blame(value),
    "cause": lambda value: value is None or (isinstance(value, dict) and _texts(list(value.values()))),
    "seconds": lambda value: isinstance(value, dict) and all(map(_is_number, value.values())),
    "inputs": lambda value: isinstance(value, dict) and all(map(_is_input_set, value.values())),
}


def _is_input_set(value: Any) -> bool:
    numbers = ("bits", "reference_bits", "loss", "worst", "max_abs", "seconds")
    return (
        isinstance(value, dict)
        and value.get("verdict") in {verdict.value for verdict in Verdict}
        and isinstance(value.get("message", ""), str)
        and all(_is_number(value.get(name)) for name in numbers)
        and _is_shapes(value.get("shapes", {}))
        and isinstance(value.get("outputs", {}), dict)
        and all(
            isinstance(output, dict) and all(_is_number(output.get(name)) for name in numbers)
            for output in value.get("outputs", {}).values()
        )
    )


def _is_shapes(value: Any) -> bool:
    """Lengths of dimensions, by the path of a tensor. Logs of before 2026-11-28 have none."""
    return isinstance(value, dict) and all(
        isinstance(shape, list) and all(type(size) is int and 0 <= size < 1 << 63 for size in shape)
        for shape in value.values()
    )


def _checked(cell: Cell, outcome: Outcome) -> tuple[Cell, Outcome]:
    for name, value in vars(cell).items():
        _need(isinstance(value, str), f"{name} is not a text")
    cell = _one_line(cell)
    for name, holds in _CHECKS.items():
        _need(holds(getattr(outcome, name)), f"{name} has a value of another type")
    for entry in outcome.inputs.values():
        if "outputs" in entry:
            entry["outputs"] = Packed(entry["outputs"])
    return cell, outcome


def _one_line(cell: Cell) -> Cell:
    """A name is one line everywhere."""
    return Cell(*map(_in_one_line, vars(cell).values()))


@functools.lru_cache(10_000)
def _in_one_line(name: str) -> str:
    # The cells of a log share their names, so that each is in memory once.
    return _LINE_ENDS.sub(" ", name)


def _environment(found: Any) -> Mapping[str, Any]:
    _need(isinstance(found, dict), "environment is not an object")
    for name in ("packages", "options", "environments"):
        _need(isinstance(found.get(name, {}), dict), f"{name} is not an object")
    versions = found.get("packages", {}).values()
    _need(all(version is None or isinstance(version, str) for version in versions), "a version is not a text")
    _need(all(map(_texts, found.get("environments", {}).values())), "requirements are not a list of texts")
    _need(_texts(found.get("missing", [])), "missing is not a list of texts")
    return found  # type: ignore[no-any-return]


def _shard(found: Mapping[str, Any]) -> Shard:
    index, count = found["index"], found["count"]
    _need(type(index) is int and type(count) is int and 1 <= index <= count, "shard has no index from 1 to count")
    by = found.get("recordings", "")
    _need(isinstance(by, str), "recordings is not a text")
    return Shard(index, count, recordings=by)


def _sharded(found: Sequence[Sequence[Any]], count: int) -> Mapping[Cell, int]:
    cells = {}
    for index, *names in found:
        _need(type(index) is int and 1 <= index <= count, "a cell has no shard from 1 to count")
        _need(_texts(names), "the names of a cell are not texts")
        cells[_one_line(Cell(*names))] = index
    return cells
