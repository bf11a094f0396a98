"""tract, Sonos' engine in Rust, by its Python package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .base import WORKERS, python_worker

NAME = "tract"
FORMATS = ("onnx", "onnx-legacy", "onnx-decomposed")
REQUIRES = ("tract",)
REPRO = "pytest_modelconform.repro.parts.tract"
LIMITS = {"dtype:bfloat16": "tract's reader of ONNX does not know the type (Unknown DatumType Bfloat16)"}


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line."""
    return python_worker(WORKERS / "python" / "tract_worker.py", device, threads)
