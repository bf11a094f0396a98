"""ONNX Runtime in C++."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..building import harness

NAME = "ort-cpp"
ENGINE = "ort"
FORMATS = ("onnx", "onnx-legacy", "onnx-decomposed")
DEVICES = ("cpu",)
REQUIRES = harness.ENGINES[ENGINE].requires
REPRO = "pytest_modelconform.repro.parts.ort"
REPRO_NOTE = "It was seen in the C++ API of ONNX Runtime; the script tries the same library by its Python API."
MAIN = True
PRECISIONS = ("full", "fast")


def unavailable(device: str) -> str | None:
    """None if the harness can be built, else what it lacks."""
    return harness.unavailable(ENGINE)


def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    """The worker's command line; builds the harness on first use."""
    return [str(harness.executable(ENGINE, cache, progress)), "--worker", "--device", device, "--threads", str(threads)]
