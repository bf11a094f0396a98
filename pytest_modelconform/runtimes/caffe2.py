"""Caffe2, the last one that was published: inside PyTorch 1.4, in a Python 3.8 of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .. import environments
from ..environments import Environment
from .base import WORKERS, python_worker

NAME = "caffe2"
FORMATS = ("caffe2",)
ENVIRONMENT = Environment(
    "caffe2",
    # onnx: for the converter, which is Caffe2's own. protobuf 3.21 and numpy 1.20 changed what both build on.
    requirements=("torch==1.4.0", "onnx==1.7.0", "numpy==1.19.5", "protobuf==3.20.3", "future==1.0.0", "six==1.17.0"),
    python="3.8",
    check="from caffe2.python import workspace; from caffe2.python.onnx import backend",
    megabytes=1500,
)


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line."""
    python = environments.python(ENVIRONMENT, cache, progress)
    return python_worker(WORKERS / "python" / "caffe2_worker.py", device, threads, python)
