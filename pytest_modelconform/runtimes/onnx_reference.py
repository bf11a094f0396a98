"""ONNX's own reference evaluator: what the standard says, in numpy and slowly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .base import WORKERS, python_worker

NAME = "onnx-reference"
FORMATS = ("onnx", "onnx-legacy", "onnx-decomposed", "onnx-fp16", "onnx-int8")
REQUIRES = ("onnx>=1.17",)
REPRO = "pytest_modelconform.repro.parts.onnx_reference"


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line."""
    return python_worker(WORKERS / "python" / "onnx_reference_worker.py", device, threads)
