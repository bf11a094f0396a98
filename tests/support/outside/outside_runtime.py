"""A runtime in an environment of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pytest_modelconform import environments
from pytest_modelconform.runtimes.base import python_worker
from tests.support.outside import OLD_ONNX

NAME = "outside"
FORMATS = ("outside",)
ENVIRONMENT = OLD_ONNX


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line."""
    python = environments.python(ENVIRONMENT, cache, progress)
    return python_worker(Path(__file__).with_name("outside_worker.py"), device, threads, python)
