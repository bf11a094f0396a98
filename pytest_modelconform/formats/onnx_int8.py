"""ONNX with int8 weights and activations, by ONNX Runtime's static quantisation of the file of format `onnx`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..runtimes.base import WORKERS, python_worker
from .foreign import of_onnx
from .quantised import limits

NAME = "onnx-int8"
SUFFIXES = (".onnx",)
foreign = of_onnx
FROM = "onnx"
REQUIRES = ("torch", "onnx", "onnxscript", "onnxruntime")
CALIBRATES = True
LIMITS = limits("ONNX Runtime's quantisation takes models in float32")


def command(threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The converter's command line."""
    return python_worker(WORKERS / "converters" / "onnx_int8_converter.py", "cpu", threads)
