"""ONNX Runtime's WebAssembly build in Node."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import node

NAME = "ort-wasm"
FAMILY = "ort"
FORMATS = ("onnx", "onnx-legacy", "onnx-fp16", "onnx-int8")
PACKAGE = "onnxruntime-web"
ENVIRONMENT = node.ENVIRONMENT
LIMITS = node.LIMITS


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line."""
    return node.node_worker("ort_wasm.mjs", device, threads, cache, progress)
