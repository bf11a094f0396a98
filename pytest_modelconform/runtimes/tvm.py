"""Apache TVM: Relax' virtual machine on what it compiled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .base import WORKERS, python_worker

NAME = "tvm"
FORMATS = ("tvm",)
REQUIRES = ("apache-tvm",)
REPRO = "pytest_modelconform.repro.parts.tvm"


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line."""
    return python_worker(WORKERS / "python" / "tvm_worker.py", device, threads)
