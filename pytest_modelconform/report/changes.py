"""A diff of two logs as text, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..outcome import Outcome
from .diff import Change, Diff
from .markdown import code, escaped
from .pages import page

_MOST = 400


@dataclass(frozen=True)
class Section:
    """One kind of change. mark: a symbol for it; is_bad: whether it is what a reader has to look at."""

    title: str
    mark: str
    changes: Sequence[Change]
    is_bad: bool = False


def sections(diff: Diff) -> list[Section]:
    """What there is to show, the worst first; kinds without a change are left out."""
    found = [
        Section("regressions", "✗", diff.regressions, is_bad=True),
        Section("worse numbers", "▼", [c for c in diff.numbers if c.worse], is_bad=True),
        Section("gone, or no longer run", "?", diff.gone),
        Section("fail otherwise", "≠", diff.other),
        Section("fixes", "✓", diff.fixes),
        Section("other numbers", "▲", [c for c in diff.numbers if not c.worse]),
        Section("new", "+", diff.new),
    ]
    return [section for section in found if section.changes]


def headline(diff: Diff) -> str:
    """All of it in a line."""
    counts = [f"{len(section.changes)} {section.title}" for section in sections(diff)]
    return f"{'; '.join(counts) or 'No changes'}; {diff.same} cells as before."


def _message(outcome: Outcome | None) -> str:
    """The first line of why a cell does not pass."""
    line = (outcome.message.strip().partition("\n")[0] if outcome else "").strip()
    return line if len(line) <= _MOST else f"{line[:_MOST]}…"


def text(diff: Diff) -> str:
    """For the terminal."""
    lines = [headline(diff), *(f"Note: {what}." for what in diff.incomplete)]
    lines += [f"{name}: {old} → {new}" for name, old, new in diff.versions]
    for section in sections(diff):
        lines += ["", f"{section.title} ({len(section.changes)})"]
        for change in section.changes:
            lines.append(f"  {section.mark} {change.cell.id}: {change.what}")
            if section.is_bad and (message := _message(change.new)):
                lines.append(f"      {message}")
    return "\n".join(lines) + "\n"


def markdown(diff: Diff, limit: int) -> str:
    """For a pull request's comment: regressions open, all else folded. Of at most `limit` bytes, say 65000."""
    parts = ["## Changes of the compatibility matrix", escaped(headline(diff))]
    parts += [f"**Note: {escaped(what)}.**" for what in diff.incomplete]
    if diff.versions:
        parts.append(_folded("Versions", [f"{escaped(n)}: {escaped(a)} → {escaped(b)}" for n, a, b in diff.versions]))
    for section in sections(diff):
        lines = [*_lines(section)]
        if section.is_bad:
            parts.append(f"### {section.mark} {len(lines)} {section.title}\n\n" + "\n".join(lines))
        else:
            parts.append(_folded(f"{section.mark} {len(lines)} {section.title}", lines))
    shown: list[str] = []
    room = limit - 200
    for part in parts:
        room -= len(part.encode("utf-8", "replace")) + 2
        if room < 0:
            shown.append(f"**The rest is left out: this text has a limit of {limit} bytes.**")
            break
        shown.append(part)
    return "\n\n".join(shown) + "\n"


def _lines(section: Section) -> Iterator[str]:
    for change in section.changes:
        message = _message(change.new) if section.is_bad else ""
        yield f"- {code(change.cell.id)}: {escaped(change.what)}" + (f"  \n  {escaped(message)}" if message else "")


def _folded(title: str, lines: Sequence[str]) -> str:
    listed = "\n".join(line if line.startswith("- ") else f"- {line}" for line in lines)
    return f"<details><summary>{title}</summary>\n\n{listed}\n\n</details>"


def html(diff: Diff, title: str = "Changes") -> str:
    """A page of its own, without script."""
    return page("diff.html", title=title, diff=diff, headline=headline(diff), sections=sections(diff), message=_message)
