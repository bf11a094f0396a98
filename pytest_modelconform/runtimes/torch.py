"""PyTorch itself, in a fresh Python process that has none of the case's code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..environments import torch_versions
from . import taken
from .base import WORKERS, python_worker

NAME = "torch"
FORMATS = ("torchscript-trace", "torchscript-script", "export", "aoti", *torch_versions.THEIRS)
DEVICES = ("cpu", "cuda")
REQUIRES = ("torch",)
REPRO = "pytest_modelconform.repro.parts.torch"
MAIN = True
OPERATORS = ("torch", "modules")
PRECISIONS = ("full", "fast")
memory = taken.by_torch


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line."""
    return python_worker(WORKERS / "python" / "torch_worker.py", device, threads)
