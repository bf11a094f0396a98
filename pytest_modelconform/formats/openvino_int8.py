"""OpenVINO's format with int8 weights and activations, by NNCF's quantisation of what format `openvino` has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..runtimes.base import WORKERS, python_worker
from .foreign import of_openvino
from .quantised import limits

NAME = "openvino-int8"
SUFFIXES = (".xml",)
foreign = of_openvino
FROM = "openvino"
REQUIRES = ("torch", "openvino", "nncf")
CALIBRATES = True
LIMITS = limits("NNCF's quantisation takes models in float32")


def command(threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The converter's command line."""
    return python_worker(WORKERS / "converters" / "openvino_int8_converter.py", "cpu", threads)
