"""ONNX in float16, by ONNX Runtime's conversion of the file of format `onnx`; inputs and outputs stay float32."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..runtimes.base import WORKERS, python_worker
from .foreign import of_onnx
from .quantised import limits

NAME = "onnx-fp16"
SUFFIXES = (".onnx",)
foreign = of_onnx
FROM = "onnx"
REQUIRES = ("torch", "onnx", "onnxscript", "onnxruntime")
LIMITS = limits("ONNX Runtime's conversion takes models in float32")
REPRO = "pytest_modelconform.repro.parts.convert_onnx_fp16"


def command(threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The converter's command line."""
    return python_worker(WORKERS / "converters" / "onnx_fp16_converter.py", "cpu", threads)
