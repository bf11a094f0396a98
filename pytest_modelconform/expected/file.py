"""`expected.toml`: the verdicts that are known and accepted, as data.

    [[expect]]
    cell = "text/t5.py::t5[onnx-*]"      # "*" and "?" are special; the path is relative to the file's folder
    verdict = "error"
    stage = "export"
    or = { verdict = "mismatch", stage = "compare" }  # optional: what the same fault also comes to
    reason = "the exporter can't …"
    link = "https://…"                   # optional
    when = { torch = ">=2.11", platform = "linux" }   # optional: versions of packages (PEP 440), sys.platform

Where one fault makes several cells fail, it is told once, and entries name it, with a `reason` of their own or without:

    [[cause]]
    id = "exporter-no-loops"
    reason = "the exporter can't …"
    operator = "aten.while_loop"         # optional: what `modelconform blame` names
    link = "https://…"                   # optional

    [[expect]]
    cause = "exporter-no-loops"
    cell = "text/beam.py::beam[onnx-*]"
    …

Strict in both directions: an unexpected pass, another verdict or stage, and an entry that matches no cell fail; so does
a cause that no entry names.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import importlib.metadata
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from ..terms.outcome import Outcome, Stage, Verdict

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAME = "expected.toml"
# The reason of an entry that is written without anybody having looked; a fault of the file until it is replaced.
TODO = "TODO"
_FIELDS = {"cause", "cell", "verdict", "stage", "or", "reason", "link", "when"}
_CAUSE_FIELDS = {"id", "reason", "operator", "link", "message"}
_TABLE = re.compile(rb"^\s*\[\[\s*(expect|cause)\b", re.MULTILINE)
_ID = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")
# Of a message, what causes are recognised by. What follows are stacks and logs.
_MOST_READ = 2000
# Verdicts that say nothing about the cell itself: they neither satisfy nor break an entry.
SILENT = {Verdict.UNAVAILABLE, Verdict.NOT_RUN}
# How the note begins that says why a failure is known.
_EXPECTED = "expected: "
# The same of a cell that passes, though it is known to fail at times.
_AT_TIMES = "passes at times only: "
_SETTLED = f"{_EXPECTED}--modelconform-update-expected records it in {NAME}; fill in the reason there"


class ExpectedError(ValueError):
    """A faulty expected.toml. The message names file, entry, field and remedy."""


@dataclass(frozen=True)
class Cause:
    """One `[[cause]]`: a fault that makes cells fail, as it is told to whoever can mend it.

    operator: which one fails, as blame names it, or "". link: upstream, or "". message: an expression that is found in
    the message of any cell that fails for it, so that an update of the file knows further ones; or "".
    """

    id: str
    reason: str
    operator: str = ""
    link: str = ""
    message: str = ""

    def to_json(self) -> dict[str, str]:
        """`Outcome.cause`."""
        return {name: value for name, value in vars(self).items() if name != "message"}

    def explains(self, message: str) -> bool:
        """Whether a failure with this message is known to be of the cause."""
        return bool(self.message) and re.search(self.message, message[:_MOST_READ]) is not None


@dataclass(frozen=True)
class Entry:
    """One `[[expect]]`. fails: as verdict and stage; a second one is what the same fault comes to elsewhere.

    The second one may be a pass, of a fault that shows at times only, such as a race.

    reason, link: its own or, where it has none, its cause's.
    """

    cell: str
    fails: tuple[tuple[Verdict, Stage | None], ...]
    reason: str
    link: str
    when: tuple[tuple[str, str], ...]
    number: int
    cause: Cause | None = None

    def matches(self, relative_id: str) -> bool:
        """Whether the pattern matches a cell's id, its path relative to the file's folder."""
        return pattern_of(self.cell).fullmatch(relative_id) is not None

    @functools.cached_property
    def file(self) -> str | None:
        """The case file that the pattern spells out, all of whose cells it can match; None for a pattern of several."""
        file, separator, _ = self.cell.partition("::")
        return file if separator and not set(file) & set("*?") else None

    def meets(self, verdict: Verdict, stage: Stage | None) -> bool:
        """Whether what was seen is what the entry expects."""
        return any(verdict is known and at in (None, stage) for known, at in self.fails)

    def applies_here(self) -> bool:
        """Whether the conditions of `when` hold on this machine."""
        return all(_holds(name, condition) for name, condition in self.when)

    @property
    def is_todo(self) -> bool:
        """Whether nobody has said yet why the cell fails: `--modelconform-update-expected` writes no reasons."""
        return self.reason.strip().upper() == TODO

    def may_match_in(self, file: str) -> bool:
        """Whether the pattern may match some cell of a case file, given by its path relative to the file's folder."""
        begin, literal = f"{file}::", re.split(r"[*?]", self.cell)[0]
        return begin.startswith(literal) or literal.startswith(begin)

    @property
    def says(self) -> str:
        """What the entry expects, in words."""
        return " or ".join(known.value + (f" at stage {at.value}" if at else "") for known, at in self.fails)


@dataclass(frozen=True)
class Expectations:
    """One expected.toml."""

    path: Path
    entries: Sequence[Entry]
    causes: Sequence[Cause] = ()

    def relative(self, file: Path, item_name: str) -> str:
        """The id that patterns are matched with, for a cell in a case file."""
        return f"{file.relative_to(self.path.parent).as_posix()}::{item_name}"

    def find(self, relative_id: str) -> Entry | None:
        """The entry for a cell. The first one, where several overlap: `check` reports these."""
        return next((e for e in self._near(relative_id) if e.matches(relative_id) and e.applies_here()), None)

    def _near(self, relative_id: str) -> Sequence[Entry]:
        """The entries that may match a cell, in their order: those that spell another file out can't."""
        return self._by_file.get(relative_id.partition("::")[0], self._of_several)

    @functools.cached_property
    def _of_several(self) -> Sequence[Entry]:
        return [entry for entry in self.entries if entry.file is None]

    @functools.cached_property
    def _by_file(self) -> Mapping[str, Sequence[Entry]]:
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            if entry.file is not None:
                found.setdefault(entry.file, []).append(entry)
        several = self._of_several
        return {file: sorted([*own, *several], key=lambda entry: entry.number) for file, own in found.items()}

    def check(self, relative_ids: Iterable[str], vague: Sequence[str] = ()) -> list[str]:
        """Faults of the file as a whole, given the ids of all cells that can exist.

        vague: case files, relative to the file's folder, that may have more cells than those.
        """
        ids = list(relative_ids)
        unexplained = [
            f"entry {entry.number} ({entry.cell!r}) still has the reason {entry.reason.strip()}: say why the cell fails"
            for entry in self.entries
            if entry.is_todo
        ]
        stale = [
            f"entry {entry.number} ({entry.cell!r}) matches no cell.{hint(entry.cell, ids)} "
            "Correct its pattern or remove the entry."
            for entry in self.stale(ids, vague)
        ]
        named = {entry.cause.id for entry in self.entries if entry.cause}
        idle = [
            f"cause {cause.id!r} is named by no entry: remove it, or name it in the entries of its cells"
            for cause in self.causes
            if cause.id not in named
        ]
        unsaid = [
            f"cause {cause.id!r} still has the reason {cause.reason.strip()}: say why the cells fail"
            for cause in self.causes
            if cause.reason.strip().upper() == TODO
        ]
        return [*unexplained, *stale, *unsaid, *idle, *self.overlaps(ids)]

    def stale(self, ids: Sequence[str], vague: Sequence[str] = ()) -> list[Entry]:
        """The entries that hold here and match no cell; arguments as for `check`."""
        matched = {entry.number for i in ids for entry in self._near(i) if entry.matches(i)}
        return [
            entry
            for entry in self.entries
            if entry.number not in matched
            and entry.applies_here()
            and not any(entry.may_match_in(file) for file in vague)
        ]

    def overlaps(self, ids: Iterable[str]) -> list[str]:
        """What is wrong where several entries that hold here match one cell."""
        here = {entry.number for entry in self.entries if entry.applies_here()}
        faults = []
        for i in ids:
            matching = [entry for entry in self._near(i) if entry.number in here and entry.matches(i)]
            if len(matching) > 1:
                numbers = " and ".join(str(entry.number) for entry in matching)
                faults.append(f"entries {numbers} match the same cell, {i}: narrow the pattern of one of them")
        return faults


def hint(pattern: str, ids: Sequence[str]) -> str:
    """` Did you mean …?` for a pattern that matches none of these ids, or nothing.

    Where the pattern spells names as options do (`onnx-legacy`), or its path from another folder, it is the pattern as
    it would match; else the nearest id.
    """
    words = {word for i in ids for word in i.rpartition("[")[2].rstrip("]").split("-") if "_" in word}
    file, bracket, rest = pattern.partition("[")
    for word in sorted(words, key=len, reverse=True):
        rest = rest.replace(word.replace("_", "-"), word)
    respelled = f"{file}{bracket}{rest}"
    parts = respelled.partition("::")[0].split("/")
    candidates = [respelled.removeprefix("".join(f"{part}/" for part in parts[:n])) for n in range(len(parts))]
    found = next((c for c in candidates if any(map(pattern_of(c).fullmatch, ids))), None)
    near = [found] if found else difflib.get_close_matches(pattern, ids, 1)
    return f" Did you mean {near[0]!r}?" if near else ""


@functools.cache
def pattern_of(text: str) -> re.Pattern[str]:
    """The expression of an entry's `cell`."""
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


def has_tables(path: Path) -> bool:
    """Whether a file has one of our tables, by its text: it may be no TOML at all."""
    with contextlib.suppress(OSError):
        return _TABLE.search(path.read_bytes()) is not None
    return False


def load(path: Path) -> Expectations:
    """Read an expected.toml. Raises ExpectedError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ExpectedError(f"{path}: {error}") from error
    return parse(text, path)


def parse(text: str, path: Path) -> Expectations:
    """The entries in a file's text. path: for messages. Raises ExpectedError."""
    try:
        content = tomllib.loads(text)
    except ValueError as error:
        raise ExpectedError(f"{path}: {error}") from error
    unknown = set(content) - {"expect", "cause"}
    if unknown:
        raise ExpectedError(
            f"{path}: unknown table {sorted(unknown)[0]!r}: write every entry as [[expect]], every cause as [[cause]]"
        )
    causes = {}
    for n, raw in enumerate(_tables(path, content, "cause"), 1):
        cause = _cause(path, n, raw)
        if cause.id in causes:
            raise ExpectedError(f"{path}: cause {n} ({cause.id!r}): its id is that of an earlier cause: rename one")
        causes[cause.id] = cause
    entries = [_entry(path, n, raw, causes) for n, raw in enumerate(_tables(path, content, "expect"), 1)]
    return Expectations(path, entries, list(causes.values()))


def _tables(path: Path, content: dict[str, Any], name: str) -> list[dict[str, Any]]:
    tables = content.get(name, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ExpectedError(f"{path}: {name!r} must be a list of tables: write every entry below a line [[{name}]]")
    return tables


def _cause(path: Path, number: int, raw: dict[str, Any]) -> Cause:
    def wrong(fault: str) -> ExpectedError:
        return ExpectedError(f"{path}: cause {number} ({raw.get('id', 'no id')!r}): {fault}")

    if unknown := set(raw) - _CAUSE_FIELDS:
        raise wrong(f"unknown field {sorted(unknown)[0]!r}; the fields are {', '.join(sorted(_CAUSE_FIELDS))}")
    for field in sorted({"id", "reason"} | set(raw)):
        if not _is_text(raw.get(field)):
            raise wrong(f"field {field!r} is missing, empty or no text: give it a text in quotes")
    if not _ID.fullmatch(raw["id"]):
        raise wrong("field 'id' must be small letters and digits, with - or . between them: onnxscript-sdpa-3d")
    try:
        re.compile(raw.get("message", ""))
    except re.error as error:
        raise wrong(f"field 'message' is no regular expression: {error}") from error
    return Cause(**raw)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _entry(path: Path, number: int, raw: dict[str, Any], causes: Mapping[str, Cause]) -> Entry:
    def wrong(fault: str) -> ExpectedError:
        return ExpectedError(f"{path}: entry {number} ({raw.get('cell', 'no cell')!r}): {fault}")

    if unknown := set(raw) - _FIELDS:
        raise wrong(f"unknown field {sorted(unknown)[0]!r}; the fields are {', '.join(sorted(_FIELDS))}")
    needed = {"cell", "verdict", *(["reason"] if "cause" not in raw else [])}
    for field in sorted(needed | set(raw) & {"cause", "reason"}):
        if not _is_text(raw.get(field)):
            raise wrong(f"field {field!r} is missing, empty or no text: give it a text in quotes")
    cause = causes.get(raw.get("cause", ""))
    if "cause" in raw and cause is None:
        near = difflib.get_close_matches(raw["cause"], causes, 1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        raise wrong(f"field 'cause': no [[cause]] has the id {raw['cause']!r}.{meant}")
    other = raw.get("or")
    if other is not None and (not isinstance(other, dict) or not {"verdict"} <= set(other) <= {"verdict", "stage"}):
        raise wrong('field \'or\' must be a table such as { verdict = "mismatch", stage = "compare" }')
    try:
        fails = (_failure(raw), *([] if other is None else [_failure(other, may_pass=True)]))
    except ValueError as error:
        raise wrong(str(error)) from error
    when = raw.get("when", {})
    try:
        for name, condition in when.items():
            if name != "platform":
                SpecifierSet(condition)
            elif not isinstance(condition, str):
                raise TypeError("platform must be a text")
    except (InvalidSpecifier, AttributeError, TypeError) as error:
        raise wrong(f'field \'when\': {error}; write it like {{ torch = ">=2.11", platform = "linux" }}') from error
    reason = raw.get("reason") or (cause.reason if cause else "")
    link = str(raw.get("link") or (cause.link if cause else ""))
    return Entry(raw["cell"], fails, reason, link, tuple(when.items()), number, cause)


def _failure(raw: Mapping[str, Any], *, may_pass: bool = False) -> tuple[Verdict, Stage | None]:
    """The fields `verdict` and `stage`. Raises ValueError."""
    try:
        verdict = Verdict(raw["verdict"])
        stage = Stage(raw["stage"]) if "stage" in raw else None
    except ValueError as error:
        words = f"the verdicts are {', '.join(v.value for v in Verdict)}; "
        words += f"the stages are {', '.join(s.value for s in Stage)}"
        raise ValueError(f"{error}; {words}") from error
    if verdict is Verdict.PASS and may_pass and stage is None:
        return verdict, None
    if verdict is Verdict.PASS or verdict in SILENT:
        raise ValueError(f"the verdict {verdict.value!r} is no failure and needs no entry: remove the entry")
    if stage is None and verdict is not Verdict.UNSUPPORTED:
        raise ValueError("field 'stage' is missing: say where the cell fails, " + ", ".join(s.value for s in Stage))
    return verdict, stage


def find_file(case_file: Path, root: Path) -> Path | None:
    """The expected.toml that speaks for a case file: in its folder or the nearest one above, up to the root."""
    for folder in case_file.parents:
        if (folder / NAME).is_file():
            return folder / NAME
        if folder == root:
            break
    return None


def judge(outcome: Outcome, entry: Entry | None, path: Path | None, update: str = "") -> Outcome:
    """The outcome with `expected` set, and with the entry's reason or the contradiction in its message.

    update: the command that updates the file for this cell.
    """
    if entry is None or outcome.is_silent:
        return outcome
    if entry.meets(outcome.verdict, outcome.stage):
        link = f" ({entry.link})" if entry.link else ""
        if outcome.verdict is Verdict.PASS:  # of a fault that shows at times, nothing was seen
            return replace(outcome, notes=(*outcome.notes, f"{_AT_TIMES}{entry.reason}{link}"))
        cause = entry.cause.to_json() if entry.cause else None
        notes = (*outcome.notes, f"{_EXPECTED}{entry.reason}{link}")
        return replace(outcome, expected=True, notes=notes, cause=cause)
    is_now = outcome.verdict.value + (f" at stage {outcome.stage.value}" if outcome.stage else "")
    said = f"{path}, entry {entry.number} expects {entry.says} ({entry.reason}), but the result is {is_now}."
    remedy = " Correct or remove the entry" + (f", or run: {update}" if update else ".")
    return replace(outcome, expected=False, message=f"{said}{remedy}\n{outcome.message}".rstrip())


def unjudged(outcome: Outcome) -> Outcome:
    """The outcome as it was before `judge` saw it, for who judges it anew."""
    notes, message = outcome.notes, outcome.message
    if outcome.expected is None:
        return replace(outcome, notes=notes[:-1]) if notes and notes[-1].startswith(_AT_TIMES) else outcome
    if outcome.expected and notes and notes[-1].startswith(_EXPECTED):
        notes = notes[:-1]
    elif not outcome.expected:
        message = message.partition("\n")[2]
    return replace(outcome, expected=None, notes=notes, message=message, cause=None)


def settle(outcome: Outcome, entry: Entry | None, path: Path | None) -> Outcome:
    """The outcome of a cell as the updated file will judge it: what passes needs no entry, what fails has one."""
    if outcome.is_silent or outcome.verdict is Verdict.PASS or (entry is None and not outcome.failed):
        return outcome
    if entry is not None and entry.meets(outcome.verdict, outcome.stage):
        return judge(outcome, entry, path)
    return replace(outcome, expected=True, notes=(*outcome.notes, _SETTLED))
