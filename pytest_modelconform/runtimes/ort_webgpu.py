"""ONNX Runtime in a page of a headless Chromium, by WebGPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import node

NAME = "ort-webgpu"
FAMILY = "ort"
FORMATS = ("onnx", "onnx-legacy")
PACKAGE = "onnxruntime-web"
ENVIRONMENT = node.ENVIRONMENT
# Chromium's own adapter; GPUs may have it, but then only some machines would.
LIMITS = {**node.LIMITS, "dtype:float16": "SwiftShader, on which it runs, has no shader-f16"}
unavailable = node.browser_unavailable


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line."""
    return node.node_worker("ort_web.mjs", device, threads, cache, progress, "--provider", "webgpu")
