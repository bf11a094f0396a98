"""The JSON report, a rendering of the log."""

from __future__ import annotations

import json
from pathlib import Path

from ..terms.records import to_record
from .log import SCHEMA, Log


def render(log: Log) -> str:
    """The whole report; non-finite numbers are null."""
    cells = [to_record(cell, outcome) for cell, outcome in log.cells]
    content = {"schema": SCHEMA, "complete": log.complete, "environment": dict(log.environment), "cells": cells}
    if log.shard is not None:
        content["shard"] = {"index": log.shard.index, "count": log.shard.count, "all_cells": len(log.shard.cells)}
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def write(log: Log, path: Path) -> None:
    """Write the report to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(log), encoding="utf-8")
