"""Apache MXNet, the last one that was published (1.9.1, of 2022), in a Python 3.8 of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .. import environments
from ..environments import Environment
from .base import WORKERS, python_worker

NAME = "mxnet"
FORMATS = ("mxnet",)
ENVIRONMENT = Environment(
    "mxnet",
    # onnx: for the converter, which is MXNet's own. numpy 1.24 took away names that MXNet uses.
    requirements=("mxnet==1.9.1", "onnx==1.8.1", "numpy==1.23.5", "protobuf==3.20.3"),
    python="3.8",
    check="import mxnet; from mxnet.contrib import onnx; assert float(mxnet.nd.ones((2,)).sum().asscalar()) == 2",
    megabytes=350,
)


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line."""
    python = environments.python(ENVIRONMENT, cache, progress)
    return python_worker(WORKERS / "python" / "mxnet_worker.py", device, threads, python)
