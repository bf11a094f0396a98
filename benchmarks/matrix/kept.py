"""Logs that a long run is kept in: what is there need not run again, as long as its case is the same."""

from __future__ import annotations

import ast
import contextlib
import fnmatch
import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_modelconform.report import log
from pytest_modelconform.report.log import Log, LogError
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Verdict

_NAME = re.compile(r"(\d+)-(.+)\.jsonl")
# Where a joined log's environment has the digests of its case files.
DIGESTS = "case_files"
_NOTE = re.compile(r"(\d+)-(.+)\.json")


@dataclass(frozen=True)
class Part:
    """The log of one session. digests: of the case files, as they were when it began."""

    path: Path
    log: Log
    digests: Mapping[str, str]


class Kept:
    """The logs in a folder. root: what the files of cells are relative to.

    before: a joined log (see `joined.py`) of what ran earlier, maybe on another machine; older than all in the folder.
    """

    def __init__(self, folder: Path, root: Path, before: Path | None = None) -> None:
        self.folder = folder
        self.root = root
        self.before = before if before is not None and before.exists() else None
        self._digests: dict[str, str] = {}
        self._read: dict[Path, tuple[tuple[int, int], Part | None]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def parts(self) -> list[Part]:
        """The logs that can be read, the oldest first."""
        paths = [path for path in sorted(self.folder.glob("*.jsonl")) if _NAME.fullmatch(path.name)]
        if self.before is not None:
            paths.insert(0, self.before)
        return [part for path in paths if (part := self._part(path)) is not None]

    def _part(self, path: Path) -> Part | None:
        """A log, read again only if it has changed; None if it was cut off before its header was written."""
        found = path.stat()
        state = (found.st_size, found.st_mtime_ns)
        if path not in self._read or self._read[path][0] != state:
            try:
                records = log.read(path)
                self._read[path] = state, Part(path, records, _digests(path, records))
            except LogError:
                self._read[path] = state, None
        return self._read[path][1]

    def cells(self) -> dict[Cell, tuple[Outcome, Part]]:
        """What cells came to, the newest record of each: of cells that ran, with their case as it is now."""
        return {
            cell: (outcome, part)
            for part in self.parts
            for cell, outcome in part.log.cells
            if outcome.verdict is not Verdict.NOT_RUN and part.digests.get(cell.file) == self.digest(cell.file)
        }

    def begin(self, name: str, files: Iterable[str]) -> Path:
        """Where the next session writes its log; its case files are noted as they are now."""
        self._digests.clear()
        digests = json.dumps({file: self.digest(file) for file in sorted(set(files))}, indent=1) + "\n"
        while True:
            numbers = [int(match[1]) for path in self.folder.iterdir() if (match := _NOTE.fullmatch(path.name))]
            path = self.folder / f"{max(numbers, default=0) + 1:04}-{name}.jsonl"
            # Others may write to the same folder: who has made a number's note has the number.
            with contextlib.suppress(FileExistsError), path.with_suffix(".json").open("x") as note:
                note.write(digests)
                break
        return path

    def forget(self, pattern: str, verdicts: Collection[Verdict] = ()) -> int:
        """Take out the records of cells whose id a pattern of the shell matches, and say how many."""
        count = 0
        for part in self.parts:
            stay = [
                (cell, outcome)
                for cell, outcome in part.log.cells
                if not _matches(cell.id, pattern) or (verdicts and outcome.verdict not in verdicts)
            ]
            if len(stay) < len(part.log.cells):
                count += len(part.log.cells) - len(stay)
                log.write(Log(part.log.environment, stay, part.log.complete), part.path)
        return count

    def digest(self, file: str) -> str:
        """Of a case file, with the modules of the cases' folders that it imports and what is named like it (C++)."""
        if file not in self._digests:
            self._digests[file] = _digest(self.root / file)
        return self._digests[file]


def _digests(path: Path, found: Log) -> Mapping[str, str]:
    """Of the case files of a log, as they were when its cells ran: a joined log says it itself."""
    note = path.with_suffix(".json")
    digests: Mapping[str, str] = json.loads(note.read_text()) if note.exists() else found.environment.get(DIGESTS, {})
    return digests


def _matches(node_id: str, pattern: str) -> bool:
    # Brackets are part of an id, and no set of letters.
    return fnmatch.fnmatchcase(node_id, pattern.replace("[", "[[]"))


def _digest(path: Path) -> str:
    made_of = hashlib.sha256()
    for one in sorted(_sources(path)):
        made_of.update(one.name.encode() + b"\0" + one.read_bytes() + b"\0")
    return made_of.hexdigest()[:16]


def _sources(path: Path) -> set[Path]:
    """A case file and what it is made of."""
    found: set[Path] = set()
    left = [path]
    while left:
        one = left.pop()
        if one in found or not one.is_file():
            continue
        found.add(one)
        for name in _imported(one):
            left += [one.with_name(f"{name}.py"), *one.parent.parent.glob(f"*/{name}.py")]
    beside = path.parent.glob(f"{path.stem}*") if path.parent.is_dir() else []
    return found | {one for one in beside if one.is_file() and one.suffix in (".cpp", ".h", ".onnx")}


def _imported(path: Path) -> Iterator[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]
