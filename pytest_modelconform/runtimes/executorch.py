"""ExecuTorch by its Python bindings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import base
from .base import WORKERS, python_worker

NAME = "executorch"
FAMILY = "xnnpack"  # whose kernels LiteRT and ExecuTorch have in common
FORMATS = ("executorch", "executorch-portable")
DEVICES = ("cpu",)
REQUIRES = ("executorch",)
OPERATORS = ("executorch",)
LIMITS = {"transposed-inputs": "it refuses tensors that are neither row-major nor channels-last"}
REPRO = "pytest_modelconform.repro.parts.executorch"


def load_request(artifact: Path, signature: dict[str, Any]) -> dict[str, Any]:
    """The usual one, and how the method is called: its arguments and results have no names."""
    called = {name: signature[name] for name in ("call", "returns")}
    return {**base.load_request(artifact, signature), **called, "results": [v["name"] for v in signature["outputs"]]}


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line."""
    return python_worker(WORKERS / "python" / "executorch_worker.py", device, threads)
