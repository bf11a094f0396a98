"""LiteRT's interpreter in Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .base import WORKERS, python_worker

NAME = "litert"
FAMILY = "xnnpack"  # whose kernels LiteRT and ExecuTorch have in common
FORMATS = ("litert", "litert-int8")
DEVICES = ("cpu",)
REQUIRES = ("ai-edge-litert",)
REPRO = "pytest_modelconform.repro.parts.litert"
# litert_torch makes 64-bit integers 32-bit ones, inputs and outputs included, unless it is told not to; it says so.
NARROWS = {"int64": "int32"}


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line."""
    return python_worker(WORKERS / "python" / "litert_worker.py", device, threads)
