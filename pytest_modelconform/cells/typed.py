"""The one place where JSON that others wrote becomes typed objects: answers of workers, entries of the cache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from .pool import AnyWorker

T = TypeVar("T")


class BadAnswer(ValueError):
    """JSON that lacks a field, or has one of another type. The message names it."""


def read(found: Mapping[str, Any], kind: type[T]) -> T:
    """JSON as what it has to be. Raises BadAnswer. Further fields are ignored, as on the wire."""
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        raise BadAnswer(str(error)) from None


def answer(worker: AnyWorker, op: str, found: Mapping[str, Any], kind: type[T]) -> T:
    """A worker's answer as what it has to be. Raises WorkerLied, which ends the worker, where it isn't."""
    try:
        return read(found, kind)
    except BadAnswer as error:
        raise worker.lied(f"an answer to {op!r} that can't be read: {error}") from error


def cached(found: Mapping[str, Any] | None, kind: type[T]) -> T | None:
    """An entry of the cache; None where there is none, or where another version wrote it, so that it is made anew."""
    if found is None:
        return None
    try:
        return read(found, kind)
    except BadAnswer:
        return None


def json_of(value: msgspec.Struct) -> dict[str, Any]:
    """What `answer` and `cached` take, by the names of the fields."""
    found: dict[str, Any] = msgspec.to_builtins(value)
    return found
