"""Caffe's models in OpenCV 4, which reads them into its own network. OpenCV 5 does no longer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .. import environments
from ..environments import Environment
from .base import WORKERS, python_worker

NAME = "caffe"
FAMILY = "opencv"
FORMATS = ("caffe",)
ENVIRONMENT = Environment(
    "caffe",
    requirements=("opencv-python-headless==4.14.0.94", "numpy==2.4.6"),
    check="import cv2; cv2.dnn.readNetFromCaffe",
    megabytes=260,
)


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line."""
    python = environments.python(ENVIRONMENT, cache, progress)
    return python_worker(WORKERS / "python" / "caffe_worker.py", device, threads, python)
