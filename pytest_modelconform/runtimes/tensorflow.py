"""TensorFlow on SavedModels, in an environment of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .. import environments
from ..environments import Environment
from ..environments.tensorflow import REQUIREMENTS
from .base import WORKERS, python_worker

NAME = "tensorflow"
FORMATS = ("tensorflow", "twin-keras")


ENVIRONMENT = Environment(
    "tensorflow",
    requirements=REQUIREMENTS,
    check="import tensorflow as tf; assert float(tf.reduce_sum(tf.ones(2))) == 2",
    megabytes=1600,
)


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line."""
    python = environments.python(ENVIRONMENT, cache, progress)
    return python_worker(WORKERS / "python" / "tensorflow_worker.py", device, threads, python)
