"""MXNet's symbol (JSON) and parameters, from ONNX of operator set 9."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .. import environments
from ..runtimes.base import WORKERS, python_worker
from ..runtimes.mxnet import ENVIRONMENT as ENVIRONMENT

NAME = "mxnet"
SUFFIXES = (".json",)
FROM = "onnx-opset9"
REQUIRES = ("torch", "onnx")
LIMITS = {
    "dtype:float16": "MXNet's reader of ONNX turns all weights into float32",
    "dtype:bfloat16": "MXNet's reader of ONNX can't read bfloat16, and numpy can't either (KeyError: 16)",
}


def command(threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The converter's command line."""
    python = environments.python(ENVIRONMENT, cache, progress)
    return python_worker(WORKERS / "converters" / "mxnet_converter.py", "cpu", threads, python)
