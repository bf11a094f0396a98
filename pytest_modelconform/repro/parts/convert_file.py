"""Converts the file of another exporter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .tensor_files import HERE


def convert_model(facts: dict[str, Any], convert: Callable[[Path], None]) -> int:
    convert(HERE / facts["model"])
    print("converted")
    return 0
