"""tinygrad, which compiles what it runs with clang."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from ..environments.packages import missing_packages
from .base import WORKERS, python_worker

NAME = "tinygrad"
FORMATS = ("onnx", "onnx-legacy", "onnx-decomposed")
REQUIRES = ("tinygrad",)
REPRO = "pytest_modelconform.repro.parts.tinygrad"


def unavailable(device: str) -> str | None:
    """None if tinygrad is there with a clang; the package ziglang holds one."""
    if reason := missing_packages(REQUIRES):
        return reason
    if shutil.which(os.environ.get("CC", "clang")) or importlib.util.find_spec("ziglang"):
        return None
    return "needs clang on the PATH, or the one in a package: pip install ziglang"


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line."""
    return python_worker(WORKERS / "python" / "tinygrad_worker.py", device, threads)
