"""Keras 3, which takes a SavedModel for a layer (TFSMLayer), in TensorFlow's environment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .. import environments
from .base import WORKERS, python_worker
from .tensorflow import ENVIRONMENT as ENVIRONMENT

NAME = "keras"
FAMILY = "tensorflow"
FORMATS = ("tensorflow", "twin-keras")


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line."""
    python = environments.python(ENVIRONMENT, cache, progress)
    return python_worker(WORKERS / "python" / "keras_worker.py", device, threads, python)
