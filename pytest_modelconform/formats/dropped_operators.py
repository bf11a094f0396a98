"""Importing packages that name operators which a newer torch no longer has."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


class Dropped:
    """Stands for an operator, or an overload of one, that torch has dropped. Nothing can call it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, key: str) -> Dropped:
        if key.startswith("__"):
            raise AttributeError(key)
        return Dropped(f"{self.name}.{key}")

    def __repr__(self) -> str:
        return f"<{self.name}, which this torch has dropped>"


@contextlib.contextmanager
def tolerated() -> Iterator[list[str]]:
    """While this is entered, looking up an operator of aten that there is not gives a `Dropped`, listed here.

    torchax 0.0.13 builds its tables of operators when it is imported, and names 20 overloads that torch 2.14 has no
    more (those with named dimensions, `aten.qr`, `aten.cholesky`). A table's entry for an operator that no program can
    have does no harm. Other namespaces stay strict: torch itself asks them whether they have an operator.
    """
    from torch._ops import OpOverloadPacket, _OpNamespace

    met: list[str] = []
    of_packet, of_namespace = OpOverloadPacket.__getattr__, _OpNamespace.__getattr__

    def overload(self: Any, key: str) -> Any:
        try:
            return of_packet(self, key)
        except AttributeError:
            return lacking(str(self), key)

    def operator(self: Any, key: str) -> Any:
        try:
            return of_namespace(self, key)
        except AttributeError:
            return lacking(self.name, key)

    def lacking(owner: str, key: str) -> Dropped:
        if key.startswith("__") or owner.split(".")[0] != "aten":
            raise AttributeError(f"{owner} has no {key}")
        met.append(f"{owner}.{key}")
        return Dropped(met[-1])

    try:
        OpOverloadPacket.__getattr__, _OpNamespace.__getattr__ = overload, operator  # type: ignore[method-assign]
        yield met
    finally:
        OpOverloadPacket.__getattr__, _OpNamespace.__getattr__ = of_packet, of_namespace  # type: ignore[method-assign]
