"""ONNX with every node named: what a format made from another one is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pytest_modelconform import environments
from pytest_modelconform.runtimes.base import python_worker
from tests.support.outside import OLD_ONNX

NAME = "outside"
FROM = "onnx"
ENVIRONMENT = OLD_ONNX
LIMITS = {"dtype:bfloat16": "onnx 1.17's evaluator computes it in float32"}


def command(threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The converter's command line."""
    python = environments.python(ENVIRONMENT, cache, progress)
    return python_worker(Path(__file__).with_name("outside_converter.py"), "cpu", threads, python)
