"""The JSON report, a rendering of the log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..terms.records import to_record
from .log import SCHEMA, Log


def render(log: Log) -> str:
    """The whole report; non-finite numbers are null."""
    return "".join(pieces(log))


def pieces(log: Log) -> Iterator[str]:
    """The report piece by piece, a cell a line: all cells as one value would take ten times the memory."""
    head = {"schema": SCHEMA, "complete": log.complete, "environment": dict(log.environment)}
    yield _dumps(head).removesuffix("}")
    yield ', "cells": ['
    for place, (cell, outcome) in enumerate(log.cells):
        yield ",\n" if place else "\n"
        yield _dumps(to_record(cell, outcome))
    yield "\n]"
    if log.shard is not None:
        shard = {"index": log.shard.index, "count": log.shard.count, "all_cells": len(log.shard.cells)}
        yield f', "shard": {_dumps(shard)}'
    yield "}\n"


def _dumps(value: Any) -> str:
    return json.dumps(value, allow_nan=False)


def write(log: Log, path: Path) -> None:
    """Write the report to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        file.writelines(pieces(log))
