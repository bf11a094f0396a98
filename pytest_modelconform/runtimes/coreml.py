"""Core ML by coremltools, which runs models on macOS only. Elsewhere they are converted, and their spec is checked."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..environments.packages import missing_packages
from . import base
from .base import WORKERS, python_worker

NAME = "coreml"
FORMATS = ("coreml",)
DEVICES = ("cpu",)
REQUIRES = ("coremltools",)
# Core ML has no 64-bit integers.
NARROWS = {"int64": "int32"}
EXPORTS_ANYWAY = True


def unavailable(device: str) -> str | None:
    """None on macOS with coremltools, else what to do."""
    on_a_mac = platform.system() == "Darwin"
    return missing_packages(REQUIRES) if on_a_mac else "Core ML exists on macOS only: run this on a Mac"


def load_request(artifact: Path, signature: dict[str, Any]) -> dict[str, Any]:
    """The usual one, and which of the outputs are bool in the model and numbers in Core ML."""
    return {**base.load_request(artifact, signature), "booleans": signature["booleans"]}


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line."""
    return python_worker(WORKERS / "python" / "coreml_worker.py", device, threads)
