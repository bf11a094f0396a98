"""A shared library that TVM compiles from ONNX of core operators: it reads no LSTM and no GRU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..runtimes.base import WORKERS, python_worker

NAME = "tvm"
SUFFIXES = (".so",)
FROM = "onnx-decomposed"
REQUIRES = ("torch", "onnx", "onnxscript", "apache-tvm")
REPRO = "pytest_modelconform.repro.parts.convert_tvm"


def command(threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The converter's command line."""
    return python_worker(WORKERS / "converters" / "tvm_converter.py", "cpu", threads)
