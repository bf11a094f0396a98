"""IREE's modules of machine code for this processor, compiled from ONNX."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..runtimes.base import WORKERS, python_worker

NAME = "iree"
SUFFIXES = (".vmfb",)
FROM = "onnx"
REQUIRES = ("torch", "onnx", "onnxscript", "iree-base-compiler")
REPRO = "pytest_modelconform.repro.parts.convert_iree"
# The processor, too: its instruction sets are part of every artifact's key (cache/fingerprint.py).
DEVICE_BOUND = True


def command(threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The converter's command line."""
    return python_worker(WORKERS / "converters" / "iree_converter.py", "cpu", threads)
