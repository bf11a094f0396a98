"""MNN's own format, converted from ONNX."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..runtimes.base import WORKERS, python_worker

NAME = "mnn"
SUFFIXES = (".mnn",)
FROM = "onnx"
REQUIRES = ("torch", "onnx", "onnxscript", "MNN")
REPRO = "pytest_modelconform.repro.parts.convert_mnn"


def command(threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The converter's command line."""
    return python_worker(WORKERS / "converters" / "mnn_converter.py", "cpu", threads)
