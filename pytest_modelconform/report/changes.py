"""A diff of two logs as text, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..terms.outcome import Outcome
from .diff import Change, Diff
from .guilty import blame_of
from .guilty import headline as guilty_line
from .markdown import code, escaped
from .pages import page
from .plural import counted

_MOST = 400


@dataclass(frozen=True)
class Section:
    """One kind of change. mark: a symbol for it; is_bad: whether it is what a reader has to look at; one: singular."""

    title: str
    mark: str
    changes: Sequence[Change]
    is_bad: bool = False
    one: str = ""

    @property
    def counted(self) -> str:
        """How many there are: "1 regression"."""
        return f"1 {self.one or self.title}" if len(self.changes) == 1 else f"{len(self.changes)} {self.title}"


def sections(diff: Diff) -> list[Section]:
    """What there is to show, the worst first; kinds without a change are left out."""
    found = [
        Section("regressions", "✗", diff.regressions, is_bad=True, one="regression"),
        Section("worse numbers", "▼", [c for c in diff.numbers if c.worse], is_bad=True, one="worse number"),
        Section("gone, or no longer run", "?", diff.gone),
        Section("fail otherwise", "≠", diff.other, one="fails otherwise"),
        Section("fixes", "✓", diff.fixes, one="fix"),
        Section("other numbers", "▲", [c for c in diff.numbers if not c.worse], one="other number"),
        Section("new", "+", diff.new),
    ]
    return [section for section in found if section.changes]


def headline(diff: Diff) -> str:
    """All of it in a line."""
    counts = [section.counted for section in sections(diff)]
    return f"{'; '.join(counts) or 'No changes'}; {counted(diff.same, 'cell')} as before."


def _message(outcome: Outcome | None) -> str:
    """The first line of why a cell does not pass."""
    line = (outcome.message.strip().partition("\n")[0] if outcome else "").strip()
    return line if len(line) <= _MOST else f"{line[:_MOST]}…"


def _guilty(outcome: Outcome | None) -> str:
    """Which operator a cell fails at; "" where nobody knows."""
    blame = blame_of(outcome) if outcome else None
    return guilty_line(blame) if blame is not None and blame.guilty else ""


def _reasons(section: Section, change: Change) -> list[str]:
    """Why a cell is worse, in a line or two."""
    return [text for text in (_message(change.new), _guilty(change.new)) if text] if section.is_bad else []


def text(diff: Diff) -> str:
    """For the terminal."""
    lines = [headline(diff), *(f"Note: {what}." for what in diff.incomplete)]
    lines += [f"{name}: {old} → {new}" for name, old, new in diff.versions]
    for section in sections(diff):
        lines += ["", f"{section.title} ({len(section.changes)})"]
        for change in section.changes:
            lines.append(f"  {section.mark} {change.cell.id}: {change.what}")
            lines += [f"      {reason}" for reason in _reasons(section, change)]
    return "\n".join(lines) + "\n"


def markdown(diff: Diff, limit: int) -> str:
    """For a pull request's comment: what is bad is open, all else folded. Of at most `limit` bytes, at least 2000."""
    parts = ["## Changes of the compatibility matrix", escaped(headline(diff))]
    parts += [f"**Note: {escaped(what)}.**" for what in diff.incomplete]
    if diff.versions:
        versions = [f"- {escaped(name)}: {escaped(old)} → {escaped(new)}" for name, old, new in diff.versions]
        parts.append(_folded("Versions", _fitting(versions, limit // 4)))
    for section in sections(diff):
        room = limit - sum(_length(part) + 2 for part in parts) - 200
        if room <= 0:
            break
        lines = _fitting([*_lines(section)], room)
        if section.is_bad:
            parts.append(f"### {section.mark} {section.counted}\n\n{lines}")
        else:
            parts.append(_folded(f"{section.mark} {section.counted}", lines))
    return "\n\n".join(parts) + "\n"


def _length(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _fitting(lines: Sequence[str], room: int) -> str:
    """The first lines that fit into so many bytes, and how many more there are."""
    shown: list[str] = []
    for line in lines:
        room -= _length(line) + 1
        if room < 0:
            return "\n".join([*shown, f"- … and {len(lines) - len(shown)} more"])
        shown.append(line)
    return "\n".join(shown)


def _lines(section: Section) -> Iterator[str]:
    for change in section.changes:
        reasons = [f"  \n  {escaped(reason)}" for reason in _reasons(section, change)]
        yield f"- {code(change.cell.id)}: {escaped(change.what)}{''.join(reasons)}"


def _folded(title: str, text: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"


def html(diff: Diff, title: str = "Changes") -> str:
    """A page of its own, without script."""
    return page("diff.html", title=title, diff=diff, headline=headline(diff), sections=sections(diff), reasons=_reasons)
