"""LiteRT's .tflite with int8 weights and activations, by Google's quantiser for what format `litert` has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..runtimes.base import WORKERS, python_worker
from .foreign import of_litert
from .quantised import limits

NAME = "litert-int8"
SUFFIXES = (".tflite",)
foreign = of_litert
FROM = "litert"
REQUIRES = ("torch", "litert-torch", "ai-edge-litert", "ai-edge-quantizer")
CALIBRATES = True
LIMITS = limits("LiteRT's quantiser takes models in float32")


def command(threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The converter's command line."""
    return python_worker(WORKERS / "converters" / "litert_int8_converter.py", "cpu", threads)
