"""The text of an `expected.toml` in pieces: what is not touched stays as it is, byte for byte.

A file is a row of entries, each with the blank lines, comments and causes before it, and a tail. The comment lines
directly above an entry (no blank line between) are the entry's own and go with it; all others stay where they are.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import tomlkit
from tomlkit.exceptions import TOMLKitError

from .file import ExpectedError

# In a comment, a message is cut here.
MOST_CHARACTERS = 160
SEEN, BEFORE = "# seen: ", "# before: "
_HEADER = re.compile(r"""^[ \t]*\[\[[ \t]*["']?(expect|cause)["']?[ \t]*\]\]""", re.MULTILINE)


@dataclass(frozen=True)
class Piece:
    """One entry. gap: blank lines, comments and causes before it. body: from `[[expect]]` to its last field."""

    gap: str
    body: str


def split(text: str) -> tuple[list[Piece], str]:
    """The entries of a file, and what comes after the last; all pieces together are `text`. Raises ExpectedError."""
    gap = ""
    pieces = []
    for name, section in _sections(text):
        if name != "expect":
            gap += section
            continue
        body = _without_trivia(section)
        pieces.append(Piece(gap, body))
        gap = section[len(body) :]
    return pieces, gap


def without_causes(text: str, ids: Collection[str]) -> str:
    """A file without the causes of these ids, each with the comments directly above it. Raises ExpectedError."""
    kept = ""
    gap = ""
    for name, section in _sections(text):
        if name not in ("expect", "cause"):
            gap += section
            continue
        body = _without_trivia(section)
        if name == "cause" and (_parsed(section) or {})["cause"][0].get("id") in ids:  # type: ignore[index]
            loose, _ = attached(gap, first=not kept)
            gap = merged(loose, section[len(body) :], not kept)
        else:
            kept += gap + body
            gap = section[len(body) :]
    return kept + gap


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """The file in parts, each with what it is: `expect`, `cause`, or nothing for what stands before the first.

    Each entry and cause has with it what stands after it. Raises ExpectedError.
    """
    headers = list(_HEADER.finditer(text))
    starts = [header.start() for header in headers]
    first = text[: starts[0]] if starts else text
    if _parsed(first):
        raise ExpectedError(
            "only entries that are written as [[expect]] can be updated: rewrite the array as such tables"
        )
    yield "", first
    begin = 0
    while begin < len(starts):
        for end in range(begin + 1, len(starts) + 1):
            section = text[starts[begin] : starts[end] if end < len(starts) else len(text)]
            # What looks like a header may be a line of a string; then the section before it is no TOML.
            if _parsed(section) is not None:
                break
        else:
            raise ExpectedError(
                f"the entry at {text[starts[begin] :].splitlines()[0]!r} can't be read by itself: edit it by hand"
            )
        yield headers[begin][1], section
        begin = end


def join(pieces: Sequence[Piece], tail: str) -> str:
    """Inverse of `split`; the last line of an entry that was the file's is ended where something follows."""
    text = "".join(piece.gap + ended(piece.body) for piece in pieces)
    if pieces and not tail and not pieces[-1].body.endswith("\n"):
        text = text[:-1]
    return text + tail


def edited(body: str, fields: Mapping[str, str | None]) -> str:
    """An entry with other fields (None: without the field); their comments, and all else, stay."""
    document = tomlkit.parse(ended(body))
    entry = document["expect"][0]
    for name, value in fields.items():
        if value is None:
            entry.pop(name, None)
        else:
            entry[name] = value
    text = with_newlines_of(body, tomlkit.dumps(document))
    return text if body.endswith("\n") else text.rstrip("\r\n")


def new_body(fields: Mapping[str, str | None]) -> str:
    """A new entry."""
    entry = tomlkit.table()
    for name, value in fields.items():
        if value is not None:
            entry.add(name, value)
    return "[[expect]]\n" + entry.as_string()


def comment(begin: str, text: str, most: int | None = MOST_CHARACTERS) -> str:
    """A comment line with the first line of a text, or with all of it where `most` characters are None."""
    if most is not None:
        text = text.strip().splitlines()[0] if text.strip() else "no message"
    # A comment may hold no control characters, and a lone surrogate is no text.
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text.strip())
    return begin + (text if most is None or len(text) <= most else text[: most - 1] + "…") + "\n"


def attached(gap: str, first: bool) -> tuple[str, str]:
    """A gap in two: the comments that belong to the entry after it are the second part.

    first: whether it is the file's first gap. Comments from its first line on are the file's own, unless they are such
    as the update writes.
    """
    lines = gap.splitlines(keepends=True)
    start = len(lines)
    while start and lines[start - 1].lstrip().startswith("#"):
        start -= 1
    if first and start == 0:
        start = next((i for i, line in enumerate(lines) if line.startswith(SEEN)), len(lines))
    return "".join(lines[:start]), "".join(lines[start:])


def merged(above: str, below: str, start: bool = False) -> str:
    """The gap that two gaps become once the entry between them is gone: its blank lines don't come twice.

    start: whether the gap is the file's first.
    """
    lines = above.splitlines()
    if start if not lines else not lines[-1].strip():
        below = re.sub(r"\A(?:[ \t]*\r?\n)+", "", below)
    return above + below


def without_last_blanks(gap: str) -> str:
    """A gap without the blank lines at its end."""
    lines = gap.splitlines(keepends=True)
    while lines and not lines[-1].strip():
        lines.pop()
    return "".join(lines)


def ended(text: str) -> str:
    """The text with its last line ended."""
    return text if not text or text.endswith("\n") else text + "\n"


def with_newlines_of(model: str, text: str) -> str:
    """The text with the line ends of another one."""
    return re.sub(r"\r?\n", "\r\n", text) if "\r\n" in model else text


def _parsed(text: str) -> dict[str, object] | None:
    try:
        return tomlkit.parse(text).unwrap()
    except TOMLKitError:
        return None


def _without_trivia(section: str) -> str:
    lines = section.splitlines(keepends=True)
    while lines and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
        lines.pop()
    body = "".join(lines)
    # The last line of a string in three quotes may look like a comment.
    return body if _parsed(body) == _parsed(section) else section
