"""How long cells took in earlier runs, so that the longest begin first."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path


def durations(cache: Path) -> dict[str, float]:
    """Seconds by node id, of the last run of each; empty if nothing is known."""
    try:
        known = json.loads((cache / "durations.json").read_text())
        return {str(key): float(value) for key, value in known.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def remember_durations(cache: Path, seconds: Mapping[str, float]) -> None:
    """Add the durations of a run to the known ones."""
    handle, temporary = tempfile.mkstemp(prefix=".durations-", dir=cache)
    with os.fdopen(handle, "w") as file:
        json.dump({**durations(cache), **{key: round(value, 3) for key, value in seconds.items()}}, file)
    Path(temporary).rename(cache / "durations.json")
