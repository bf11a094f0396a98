"""ncnn, Tencent's engine for phones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .base import WORKERS, python_worker

NAME = "ncnn"
FORMATS = ("ncnn",)
REQUIRES = ("ncnn",)
REPRO = "pytest_modelconform.repro.parts.ncnn"
LIMITS = {
    "dtype:float16": "ncnn that computes in float32 reads a float16 input as float32, and dies",
    "dtype:bfloat16": "numpy can't pass bfloat16 arrays to ncnn",
}


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line."""
    return python_worker(WORKERS / "python" / "ncnn_worker.py", device, threads)
