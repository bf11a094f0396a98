"""The one place where JSON that others wrote becomes typed objects: answers of workers, entries of the cache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from .pool import AnyWorker

T = TypeVar("T")


def answer(worker: AnyWorker, op: str, found: Mapping[str, Any], kind: type[T]) -> T:
    """A worker's answer as what it has to be. Raises WorkerLied, which ends the worker, where it isn't."""
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        raise worker.lied(f"an answer to {op!r} that can't be read: {error}") from error


def cached(found: Mapping[str, Any] | None, kind: type[T]) -> T | None:
    """An entry of the cache; None where there is none, or where another version wrote it, so that it is made anew."""
    if found is None:
        return None
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError:
        return None


def json_of(value: msgspec.Struct) -> dict[str, Any]:
    """What `answer` and `cached` take, by the names of the fields."""
    found: dict[str, Any] = msgspec.to_builtins(value)
    return found
