"""ONNX Runtime in Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import taken
from .base import WORKERS, python_worker

NAME = "ort"
FORMATS = ("onnx", "onnx-legacy", "onnx-decomposed", "onnx-opset9", "onnx-fp16", "onnx-int8")
DEVICES = ("cpu", "cuda")
REQUIRES = ("onnxruntime",)
REPRO = "pytest_modelconform.repro.parts.ort"
MAIN = True
OPERATORS = ("onnxruntime",)
PRECISIONS = ("full", "fast")
memory = taken.by_onnxruntime


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line."""
    return python_worker(WORKERS / "python" / "ort_worker.py", device, threads)
