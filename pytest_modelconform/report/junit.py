"""A log as JUnit XML, and what a cell adds to the `--junitxml` of pytest's own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..outcome import Cell, Outcome, Verdict

# What XML 1.0 can't hold, not even escaped (https://www.w3.org/TR/xml/#charsets).
_NOT_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


def properties(cell: Cell, outcome: Outcome) -> list[tuple[str, object]]:
    """Name and value of each property of a cell's test case; values are plain texts."""
    return [*_properties(cell, outcome)]


def _properties(cell: Cell, outcome: Outcome) -> Iterator[tuple[str, object]]:
    for name in ("format", "runtime", "device", "dtype", "precision", "task"):
        yield name, xml(getattr(cell, name))
    yield "verdict", outcome.verdict.value
    if outcome.stage:
        yield "stage", outcome.stage.value
    if outcome.bits is not None:
        yield "bits", f"{outcome.bits:.2f}"
    if outcome.expected is not None:
        yield "expected", "true" if outcome.expected else "false"


def xml(text: str) -> str:
    """Text that an XML document can hold. Escaping is left to who writes it."""
    return _NOT_XML.sub("�", text)
