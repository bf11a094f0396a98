"""Lines that fit the terminal."""

from __future__ import annotations

import textwrap
from typing import Protocol

# Below this a terminal can't say how wide it is, or nobody reads it.
_NARROWEST = 20


class Writer(Protocol):
    """What we use of pytest's terminal writer."""

    hasmarkup: bool
    fullwidth: int

    def line(self, s: str = "", **markup: bool) -> None:
        """Write a line."""

    def write(self, msg: str, *, flush: bool = False, **markup: bool) -> None:
        """Write text."""


def wrapped(text: str, width: int, indent: str = "", hanging: str = "  ") -> list[str]:
    """`text` in lines of at most `width` characters; nothing is cut off, and words are broken only if they must be.

    indent: of the first line. hanging: of the lines below it, in addition to the indent.
    """
    text = text.expandtabs().rstrip()
    # What stands in columns, code above all, keeps them.
    indent += " " * min(len(text) - len(text.lstrip()), width // 3)
    text = text.lstrip()
    if len(indent) + len(text) <= width:
        return [f"{indent}{text}"]
    return textwrap.wrap(
        text,
        max(width, _NARROWEST),
        initial_indent=indent,
        subsequent_indent=indent + hanging,
        break_on_hyphens=False,
    )


def say(writer: Writer, text: str, indent: str = "", hanging: str = "  ", **markup: bool) -> None:
    """Write a text in as many lines as it takes."""
    for line in wrapped(text, writer.fullwidth, indent, hanging):
        writer.line(line, **markup)
