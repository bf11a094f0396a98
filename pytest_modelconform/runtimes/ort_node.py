"""ONNX Runtime's Node binding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import node

NAME = "ort-node"
FAMILY = "ort"
FORMATS = ("onnx", "onnx-legacy", "onnx-fp16", "onnx-int8")
PACKAGE = "onnxruntime-node"
ENVIRONMENT = node.ENVIRONMENT
LIMITS = node.LIMITS


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line."""
    return node.node_worker("ort_node.mjs", device, threads, cache, progress)
