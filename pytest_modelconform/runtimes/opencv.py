"""The DNN module of OpenCV 5."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .base import WORKERS, python_worker

NAME = "opencv"
FORMATS = ("onnx", "onnx-legacy", "onnx-decomposed")
REQUIRES = ("opencv-python-headless>=5",)
REPRO = "pytest_modelconform.repro.parts.opencv"
LIMITS = {"dtype:bfloat16": "OpenCV's Net.setInput can't take an array of bfloat16"}


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line."""
    return python_worker(WORKERS / "python" / "opencv_worker.py", device, threads)
