"""IREE's runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .base import WORKERS, python_worker

NAME = "iree"
FORMATS = ("iree",)
REQUIRES = ("iree-base-runtime",)
REPRO = "pytest_modelconform.repro.parts.iree"


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line."""
    return python_worker(WORKERS / "python" / "iree_worker.py", device, threads)
