"""MNN, Alibaba's engine for phones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .base import WORKERS, python_worker

NAME = "mnn"
FORMATS = ("mnn",)
REQUIRES = ("MNN",)
REPRO = "pytest_modelconform.repro.parts.mnn"
LIMITS = {
    "dtype:float16": "MNN's Python makes tensors of float32, int32 and uint8 only",
    "dtype:bfloat16": "MNN's Python makes tensors of float32, int32 and uint8 only",
}
NARROWS = {"int64": "int32", "bool": "int32"}


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line."""
    return python_worker(WORKERS / "python" / "mnn_worker.py", device, threads)
