"""TensorFlow's SavedModel, from StableHLO."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .. import environments
from ..runtimes.base import WORKERS, python_worker
from ..runtimes.tensorflow import ENVIRONMENT as ENVIRONMENT
from .foreign import of_saved_model

NAME = "tensorflow"
FROM = "stablehlo"
foreign = of_saved_model
# Their own models don't take that way.
FRAMEWORKS = dict.fromkeys(("keras", "tensorflow"), "pytest_modelconform.formats.frameworks.tensorflow_saved")


def command(threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The converter's command line."""
    python = environments.python(ENVIRONMENT, cache, progress)
    return python_worker(WORKERS / "converters" / "tensorflow_converter.py", "cpu", threads, python)
