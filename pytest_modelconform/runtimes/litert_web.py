"""LiteRT.js in a page of a headless Chromium, by WebAssembly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import litert, node

NAME = "litert-web"
FAMILY = "xnnpack"  # whose kernels LiteRT and ExecuTorch have in common
FORMATS = litert.FORMATS
PACKAGE = "@litertjs/core"
ENVIRONMENT = node.ENVIRONMENT
_KNOWN = "LiteRT.js has tensors of float32, int32 and uint8 only"
LIMITS = dict.fromkeys(("dtype:float16", "input:bool"), _KNOWN)
NARROWS = litert.NARROWS
unavailable = node.browser_unavailable


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line."""
    return node.node_worker("litert_web.mjs", device, threads, cache, progress)
