"""ONNX Runtime in a page of a headless Chromium, by WebAssembly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import node

NAME = "ort-web"
FAMILY = "ort"
FORMATS = ("onnx", "onnx-legacy", "onnx-fp16", "onnx-int8")
PACKAGE = "onnxruntime-web"
ENVIRONMENT = node.ENVIRONMENT
LIMITS = node.LIMITS
unavailable = node.browser_unavailable


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line."""
    return node.node_worker("ort_web.mjs", device, threads, cache, progress)
