"""What `--modelconform-update-expected` makes of an `expected.toml`: pure functions from text to text.

Nothing is guessed: a pattern is only ever replaced by patterns that match exactly the cells they are meant for, a cell
that did not run counts as it stands in the file, and a reason that nobody knows is "TODO".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..terms.outcome import Outcome, Stage, Verdict
from . import text as toml_text
from .file import SILENT, TODO, Cause, Entry, ExpectedError, parse, pattern_of
from .fold import Ids, file_of, fold
from .text import BEFORE, SEEN, Piece

HEADER = """\
# What is known to fail. In `cell` only * and ? are special; paths are relative to this file's folder.
# Entries are strict: one whose cell passes, or fails elsewhere, fails the run.
"""
# Whose messages say what is wrong, by names and numbers.
_TOLD_IN_WORDS = (Verdict.ERROR, Verdict.MISMATCH)


@dataclass(frozen=True)
class Seen:
    """What a cell came to in this session.

    stage: where it failed. message: its first line goes to a comment. strict: whether imprecise is a failure.
    """

    verdict: Verdict
    stage: Stage | None = None
    message: str = ""
    strict: bool = False

    @property
    def failed(self) -> bool:
        """Whether it is a failure unless an entry says that it is known."""
        return Outcome(self.verdict, strict=self.strict).failed


@dataclass(frozen=True)
class Update:
    """The new text of a file, and how many entries were added, changed and removed; todo: those without a reason."""

    text: str
    added: int = 0
    changed: int = 0
    removed: int = 0
    todo: int = 0


def update(
    text: str,
    path: Path,
    ids: Iterable[str],
    seen: Mapping[str, Seen],
    vague: Sequence[str] = (),
    aside: Collection[str] = (),
) -> Update:
    """The text of an expected.toml that agrees with what was seen. Raises ExpectedError where it can't be updated.

    path: for messages. ids: of all cells that can exist, seen: of those that ran, all relative to the file's folder.
    vague: case files that may have more cells than `ids` says, relative to that folder. aside: those of `ids` of which
    this machine can't say anything (devices that were not asked for): patterns may cover them, unless another entry
    does, and no entry is kept or narrowed for their sake alone.
    """
    content = parse(text, path)
    entries = content.entries
    try:
        pieces, tail = toml_text.split(text)
    except ExpectedError as error:
        raise ExpectedError(f"{path}: {error}") from error
    told = {cell: what for cell, what in seen.items() if what.verdict not in SILENT}
    existing = Ids([*ids, *told])
    matching = {e: list(existing.matching(e.cell)) for e in entries if e.applies_here()}
    aside = set(aside).difference(told)
    owners = Counter(c for cells in matching.values() for c in cells)
    # Entries may overlap, which is a fault of the file: a cell is settled if one of them is met.
    settled = {c for e, cells in matching.items() for c in cells if c in told and _met(e, told[c])}
    known_causes = _Causes(content.causes, matching, told)
    slots: list[list[Piece]] = []
    for entry, piece in zip(entries, pieces, strict=True):
        if entry not in matching:
            slots.append([piece])
            continue
        cells = matching[entry]
        kept = [c for c in cells if c not in told or _met(entry, told[c])]
        if len(kept) == len(cells):
            is_stale = not cells and not any(entry.may_match_in(file) for file in vague)
            slots.append([] if is_stale else [piece])
            continue
        failing = [c for c in cells if c in told and c not in settled and told[c].verdict is not Verdict.PASS]
        settled.update(failing)
        mine = set(cells)
        near = Ids(c for c in existing.order if c not in aside or owners[c] > (c in mine))
        slot = _narrowed(piece, entry, [c for c in kept if c not in aside], near)
        slots.append([*slot, *_rewritten(piece, entry, failing, told, near, known_causes, in_place=not slot)])
    known = {cell for cells in matching.values() for cell in cells}
    homeless = [c for c in existing.order if c in told and told[c].failed and c not in known]
    # Beside what is already known of the case file; after all the rest where nothing is.
    beside: dict[int, list[Piece]] = {}
    near = Ids(c for c in existing.order if c not in aside or owners[c])
    for file, piece in _added(homeless, told, near, known_causes):
        place = max((i for i, entry in enumerate(entries) if file_of(entry.cell) == file), default=len(entries))
        beside.setdefault(place, []).append(piece)
    joined = _joined(text, pieces, slots, beside, tail)
    # A cause goes with the last entry that names it; one that none has named is a fault that only its author can mend.
    named = {entry.cause.id for entry in entries if entry.cause}
    left = {entry.cause.id for entry in parse(joined, path).entries if entry.cause}
    if named - left:
        joined = toml_text.without_causes(joined, named - left)
    added = sum(max(len(slot) - 1, 0) for slot in slots) + sum(map(len, beside.values()))
    changed = sum(bool(slot) and slot[0] != piece for slot, piece in zip(slots, pieces, strict=True))
    todo = sum(entry.is_todo for entry in parse(joined, path).entries)
    return Update(joined, added, changed, sum(not slot for slot in slots), todo)


def _met(entry: Entry, what: Seen) -> bool:
    return entry.meets(what.verdict, what.stage)


def _narrowed(piece: Piece, entry: Entry, cells: Sequence[str], existing: Ids) -> list[Piece]:
    """The entry for those of its cells that still meet it."""
    bodies = [toml_text.edited(piece.body, {"cell": p}) for p in fold(cells, existing, [entry.cell])]
    return [Piece(piece.gap if i == 0 else "\n", body) for i, body in enumerate(bodies)]


def _rewritten(
    piece: Piece,
    entry: Entry,
    cells: Sequence[str],
    told: Mapping[str, Seen],
    existing: Ids,
    causes: _Causes,
    in_place: bool,
) -> list[Piece]:
    """Entries for the cells that fail otherwise than the entry says; `when` stays, since only there this was seen.

    in_place: whether the first of them takes the place of the entry, and so its comments.
    """
    pieces: list[Piece] = []
    link = f" ({entry.link})" if entry.link else ""
    old = [] if entry.is_todo else [toml_text.comment(BEFORE, f"{entry.says}: {entry.reason}{link}", None)]
    for (verdict, stage, cause), group in _groups(cells, told, causes).items():
        fields = {"verdict": verdict.value, "stage": stage.value if stage else None, "or": None}
        fields |= {"cause": cause, "reason": None if cause else TODO, "link": None}
        for pattern in fold(group, existing, [entry.cell]):
            gap = "\n"
            if in_place and not pieces:
                lines = piece.gap.splitlines(keepends=True)
                gap = "".join(line for line in lines if not line.startswith(SEEN))
            seen = "" if cause else _comment(pattern, group, told)
            pieces.append(Piece(gap + seen + "".join(old), toml_text.edited(piece.body, {"cell": pattern, **fields})))
    return pieces


def _added(
    cells: Sequence[str], told: Mapping[str, Seen], existing: Ids, causes: _Causes
) -> Iterator[tuple[str, Piece]]:
    """Entries for cells that have none, each with its case file."""
    for file in dict.fromkeys(map(file_of, cells)):
        of_file = [cell for cell in cells if file_of(cell) == file]
        for (verdict, stage, cause), group in _groups(of_file, told, causes).items():
            for pattern in fold(group, existing):
                fields = {"cause": cause, "cell": pattern, "verdict": verdict.value}
                fields |= {"stage": stage.value if stage else None, "reason": None if cause else TODO}
                gap = "\n" if cause else "\n" + _comment(pattern, group, told)
                yield file, Piece(gap, toml_text.new_body(fields))


def _groups(
    cells: Iterable[str], told: Mapping[str, Seen], causes: _Causes
) -> dict[tuple[Verdict, Stage | None, str | None], list[str]]:
    """Cells by what they came to, and by the id of the cause that is known of them."""
    groups: dict[tuple[Verdict, Stage | None, str | None], list[str]] = {}
    for cell in cells:
        seen = told[cell]
        groups.setdefault((seen.verdict, seen.stage, causes.of(cell, seen)), []).append(cell)
    return groups


class _Causes:
    """Which cause a cell's failure is known to have. matching: entries with their cells.

    That whose `message` it has; or that of another cell of its case which fails in the very same words, as all formats
    do that begin with the same exporter's error, and all runtimes that return the same wrong numbers.
    """

    def __init__(
        self, causes: Sequence[Cause], matching: Mapping[Entry, Sequence[str]], told: Mapping[str, Seen]
    ) -> None:
        self._causes = causes
        self._by_words: dict[tuple[str, Seen], set[str]] = {}
        for entry, cells in matching.items():
            if entry.cause is None:
                continue
            for cell in cells:
                if cell in told and _met(entry, told[cell]):
                    self._by_words.setdefault((_case_of(cell), told[cell]), set()).add(entry.cause.id)

    def of(self, cell: str, seen: Seen) -> str | None:
        """The only one: where there are several, somebody has to look."""
        found = {cause.id for cause in self._causes if cause.explains(seen.message)}
        # A limit of time is told in the same words whatever ran into it.
        if not found and seen.verdict in _TOLD_IN_WORDS:
            found = self._by_words.get((_case_of(cell), seen), set())
        return next(iter(found)) if len(found) == 1 else None


def _case_of(cell: str) -> str:
    return cell.partition("[")[0]


def _comment(pattern: str, group: Collection[str], told: Mapping[str, Seen]) -> str:
    first = next((cell for cell in group if pattern_of(pattern).fullmatch(cell)), next(iter(group)))
    return toml_text.comment(SEEN, told[first].message)


def _joined(
    text: str,
    pieces: Sequence[Piece],
    slots: Sequence[Sequence[Piece]],
    beside: Mapping[int, Sequence[Piece]],
    tail: str,
) -> str:
    """The text with each entry replaced by those in its slot, or by none, and with others beside it."""
    result: list[Piece] = []
    pending: str | None = None  # What remains above entries that went.
    for i, (old, slot) in enumerate(zip(pieces, slots, strict=True)):
        if not slot:
            loose, _ = toml_text.attached(old.gap, first=i == 0)
            pending = loose if pending is None else toml_text.merged(pending, loose, not result)
        for piece in (*slot, *beside.get(i, ())):
            gap = piece.gap if pending is None else toml_text.merged(pending, piece.gap, not result)
            pending = None
            result.append(replace(old, gap=gap) if piece == old else _like(text, replace(piece, gap=gap)))
    if pending is not None:
        tail = toml_text.merged(pending, tail, not result) if tail else toml_text.without_last_blanks(pending)
    joined = toml_text.join(result, tail)
    for piece in beside.get(len(pieces), ()):
        joined = toml_text.ended(joined)
        blank = not joined or not joined.splitlines()[-1].strip()
        piece = _like(text, replace(piece, gap=piece.gap.removeprefix("\n") if blank else piece.gap))
        joined += piece.gap + piece.body
    return joined


def _like(text: str, piece: Piece) -> Piece:
    """A piece with the line ends of a text."""
    return Piece(*(toml_text.with_newlines_of(text, part) for part in (piece.gap, piece.body)))
