"""Caffe2's two nets, one that fills the weights in and one that predicts, from ONNX of operator set 9."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .. import environments
from ..runtimes.base import WORKERS, python_worker
from ..runtimes.caffe2 import ENVIRONMENT as ENVIRONMENT

NAME = "caffe2"
SUFFIXES = (".pb",)
FROM = "onnx-opset9"
REQUIRES = ("torch", "onnx")
LIMITS = {
    "dtype:float16": "Caffe2's reader of ONNX can't read weights of float16 (unrecognized tensor type 10)",
    "dtype:bfloat16": "Caffe2's reader of ONNX can't read weights of bfloat16 (unrecognized tensor type 16)",
}


def command(threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The converter's command line."""
    python = environments.python(ENVIRONMENT, cache, progress)
    return python_worker(WORKERS / "converters" / "caffe2_converter.py", "cpu", threads, python)
