"""`expected.toml`: the verdicts that are known and accepted, as data.

    [[expect]]
    cell = "text/t5.py::t5[onnx-*]"      # "*" and "?" are special; the path is relative to the file's folder
    verdict = "error"
    stage = "export"
    reason = "the exporter can't …"
    link = "https://…"                   # optional
    when = { torch = ">=2.11", platform = "linux" }   # optional: versions of packages (PEP 440), sys.platform

Strict in both directions: an unexpected pass, another verdict or stage, and an entry that matches no cell fail.
"""

from __future__ import annotations

import functools
import importlib.metadata
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from .outcome import Outcome, Stage, Verdict

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAME = "expected.toml"
_FIELDS = {"cell", "verdict", "stage", "reason", "link", "when"}
# Verdicts that say nothing about the cell itself: they neither satisfy nor break an entry.
_SILENT = {Verdict.UNAVAILABLE, Verdict.NOT_RUN}


class ExpectedError(ValueError):
    """A faulty expected.toml. The message names file, entry, field and remedy."""


@dataclass(frozen=True)
class Entry:
    """One `[[expect]]`."""

    cell: str
    verdict: Verdict
    stage: Stage | None
    reason: str
    link: str
    when: tuple[tuple[str, str], ...]
    number: int

    def matches(self, relative_id: str) -> bool:
        """Whether the pattern matches a cell's id, its path relative to the file's folder."""
        return _pattern(self.cell).fullmatch(relative_id) is not None

    def applies_here(self) -> bool:
        """Whether the conditions of `when` hold on this machine."""
        return all(_holds(name, condition) for name, condition in self.when)

    @property
    def says(self) -> str:
        """What the entry expects, in words."""
        return self.verdict.value + (f" at stage {self.stage.value}" if self.stage else "")


@dataclass(frozen=True)
class Expectations:
    """One expected.toml."""

    path: Path
    entries: Sequence[Entry]

    def relative(self, file: Path, item_name: str) -> str:
        """The id that patterns are matched with, for a cell in a case file."""
        return f"{file.relative_to(self.path.parent).as_posix()}::{item_name}"

    def find(self, relative_id: str) -> Entry | None:
        """The entry for a cell. The first one, where several overlap: `check` reports these."""
        return next((e for e in self.entries if e.matches(relative_id) and e.applies_here()), None)

    def check(self, relative_ids: Iterable[str]) -> list[str]:
        """Faults of the file as a whole, given the ids of all cells that can exist."""
        ids = list(relative_ids)
        here = [entry for entry in self.entries if entry.applies_here()]
        faults = [
            f"entry {entry.number} ({entry.cell!r}) matches no cell: correct its pattern or remove it"
            for entry in here
            if not any(entry.matches(i) for i in ids)
        ]
        for i in ids:
            matching = [entry for entry in here if entry.matches(i)]
            if len(matching) > 1:
                numbers = " and ".join(str(entry.number) for entry in matching)
                faults.append(f"entries {numbers} both match {i}: narrow the pattern of one")
        return faults


@functools.cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text).replace(r"\*", ".*").replace(r"\?", "."))


def _holds(name: str, condition: str) -> bool:
    if name == "platform":
        return sys.platform == condition
    if name == "python":
        return SpecifierSet(condition).contains(".".join(map(str, sys.version_info[:3])), prereleases=True)
    try:
        # The local part ("+cu130") is no version of its own.
        version = importlib.metadata.version(name).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return False
    return SpecifierSet(condition).contains(version, prereleases=True)


def load(path: Path) -> Expectations:
    """Read an expected.toml. Raises ExpectedError."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExpectedError(f"{path}: {error}") from error
    unknown = set(content) - {"expect"}
    if unknown:
        raise ExpectedError(f"{path}: unknown table {sorted(unknown)[0]!r}: entries are [[expect]]")
    return Expectations(path, [_entry(path, n, raw) for n, raw in enumerate(content.get("expect", []), 1)])


def _entry(path: Path, number: int, raw: dict[str, Any]) -> Entry:
    def wrong(fault: str) -> ExpectedError:
        return ExpectedError(f"{path}: entry {number} ({raw.get('cell', 'no cell')!r}): {fault}")

    if unknown := set(raw) - _FIELDS:
        raise wrong(f"unknown field {sorted(unknown)[0]!r}; fields: {', '.join(sorted(_FIELDS))}")
    for field in ("cell", "verdict", "reason"):
        if not isinstance(raw.get(field), str) or not raw[field].strip():
            raise wrong(f"field {field!r} is missing or empty")
    try:
        verdict = Verdict(raw["verdict"])
        stage = Stage(raw["stage"]) if "stage" in raw else None
    except ValueError as error:
        words = f"verdicts: {', '.join(v.value for v in Verdict)}; stages: {', '.join(s.value for s in Stage)}"
        raise wrong(f"{error}; {words}") from error
    if verdict is Verdict.PASS or verdict in _SILENT:
        raise wrong(f"{verdict.value!r} needs no entry")
    if stage is None and verdict is not Verdict.UNSUPPORTED:
        raise wrong("field 'stage' is missing: say where it fails, " + ", ".join(s.value for s in Stage))
    when = raw.get("when", {})
    try:
        for name, condition in when.items():
            if name != "platform":
                SpecifierSet(condition)
    except (InvalidSpecifier, AttributeError, TypeError) as error:
        raise wrong(f'field \'when\': {error}; say {{ torch = ">=2.11", platform = "linux" }}') from error
    return Entry(raw["cell"], verdict, stage, raw["reason"], str(raw.get("link", "")), tuple(when.items()), number)


def find_file(case_file: Path, root: Path) -> Path | None:
    """The expected.toml that speaks for a case file: in its folder or the nearest one above, up to the root."""
    for folder in case_file.parents:
        if (folder / NAME).is_file():
            return folder / NAME
        if folder == root:
            break
    return None


def judge(outcome: Outcome, entry: Entry | None, path: Path | None) -> Outcome:
    """The outcome with `expected` set, and with the entry's reason or the contradiction in its message."""
    if entry is None or outcome.verdict in _SILENT:
        return outcome
    met = outcome.verdict is entry.verdict and (entry.stage is None or outcome.stage is entry.stage)
    if met:
        link = f" ({entry.link})" if entry.link else ""
        return replace(outcome, expected=True, notes=(*outcome.notes, f"expected: {entry.reason}{link}"))
    is_now = outcome.verdict.value + (f" at stage {outcome.stage.value}" if outcome.stage else "")
    said = f"{path}, entry {entry.number} expects {entry.says} ({entry.reason}), it is {is_now}"
    return replace(outcome, expected=False, message=f"{said}: correct or remove the entry\n{outcome.message}".rstrip())
