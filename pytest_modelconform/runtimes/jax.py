"""JAX in Python, reading what `jax.export` stored. No torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .base import WORKERS, python_worker

NAME = "jax"
FORMATS = ("stablehlo", "twin-jax")
DEVICES = ("cpu",)
REQUIRES = ("jax",)
REPRO = "pytest_modelconform.repro.parts.jax"


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line."""
    return python_worker(WORKERS / "python" / "jax_worker.py", device, threads)
