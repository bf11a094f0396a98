"""OpenVINO in Python, reading ONNX and its own format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .base import WORKERS, python_worker

NAME = "openvino"
FORMATS = ("onnx", "onnx-legacy", "onnx-decomposed", "openvino", "onnx-fp16", "onnx-int8", "openvino-int8")
DEVICES = ("cpu",)
REQUIRES = ("openvino",)
REPRO = "pytest_modelconform.repro.parts.openvino"
MAIN = True
OPERATORS = ("openvino",)
PRECISIONS = ("full", "fast")
# After an inference that failed, inputs of the sizes before it fail, too, with the same words (seen with 2026.4).
RELOADS = True
# Ours asks for f32; a version that does not heed it, or an option of the model's, would show in the numbers only.
PRECISION_NOTE = "OpenVINO computes in bfloat16 on processors that have it, unless INFERENCE_PRECISION_HINT is f32"


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line."""
    return python_worker(WORKERS / "python" / "openvino_worker.py", device, threads)
