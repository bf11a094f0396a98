"""What thousands of cells keep in memory, as text until somebody looks into it: a tenth of what dicts take."""

from __future__ import annotations

import json
import zlib
from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from typing import Any

from ..terms.cell import Cell
from ..terms.outcome import Outcome
from ..terms.records import from_record, plain


class Packed(Mapping[str, Any]):
    """A mapping of plain JSON as its text. Every look into it reads that again."""

    __slots__ = ("_text",)

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()

    def __getitem__(self, key: str) -> Any:
        return self._content()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._content())

    def __len__(self) -> int:
        return len(self._content())

    def items(self) -> ItemsView[str, Any]:
        """At one go: the inherited one would read all of it anew for each key."""
        return self._content().items()

    def values(self) -> ValuesView[Any]:
        """The same."""
        return self._content().values()

    def __repr__(self) -> str:
        return repr(self._content())

    def _content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self._text)
        return content


class Kept:
    """Records of cells in the order in which they came, compressed: 10,000 take about a megabyte."""

    def __init__(self) -> None:
        self._packer = zlib.compressobj(1)
        self._parts: list[bytes] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, record: Mapping[str, Any]) -> None:
        """Keep one more."""
        self._count += 1
        if part := self._packer.compress(json.dumps(record).encode() + b"\n"):
            self._parts.append(part)

    def cells(self) -> list[tuple[Cell, Outcome]]:
        """All of them."""
        text = zlib.decompress(b"".join([*self._parts, self._packer.copy().flush()]))
        return [from_record(plain(json.loads(line))) for line in text.splitlines()]
