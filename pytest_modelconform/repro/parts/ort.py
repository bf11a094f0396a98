"""ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime


def load(path: Path, device: str, fast: bool) -> Any:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("mlas.enable_gemm_fastmath_arm64_bfloat16", "1" if fast else "0")
    if device == "cuda":
        provider = ("CUDAExecutionProvider", {"use_tf32": "1" if fast else "0"})
    else:
        provider = ("CPUExecutionProvider", {})
    return onnxruntime.InferenceSession(str(path), options, providers=[provider])


def run(model: Any, inputs: dict[str, Any], outputs: list[str]) -> list[Any]:
    found: list[Any] = model.run(outputs, inputs)
    return found
