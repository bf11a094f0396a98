"""OpenVINO."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino

# numpy has no such types: their bits are handed over.
BITS_ONLY = {
    "bfloat16": openvino.Type.bf16,
    "float8_e4m3fn": openvino.Type.f8e4m3,
    "float8_e5m2": openvino.Type.f8e5m2,
}


def load(path: Path, device: str, fast: bool) -> Any:
    # Without the hint it computes in bfloat16 on processors that have it.
    options = {"EXECUTION_MODE_HINT": "PERFORMANCE"} if fast else {"INFERENCE_PRECISION_HINT": "f32"}
    return openvino.Core().compile_model(str(path), device.upper(), options)


def run(model: Any, inputs: dict[str, Any], outputs: list[str]) -> list[Any]:
    request = model.create_infer_request()
    # By ports: an input that is returned as it is has the output's name.
    request.infer({model.input(name): to_openvino(array) for name, array in inputs.items()}, share_inputs=False)
    return [from_openvino(request.get_tensor(model.output(name))) for name in outputs]


def to_openvino(array: Any) -> Any:
    if array.dtype.name not in BITS_ONLY:
        return array
    bits = np.ascontiguousarray(array).view(f"u{array.itemsize}")
    return openvino.Tensor(bits, list(array.shape), BITS_ONLY[array.dtype.name])


def from_openvino(tensor: Any) -> Any:
    name = next((name for name, kind in BITS_ONLY.items() if kind == tensor.element_type), None)
    if name is None:
        return np.array(tensor.data)
    import ml_dtypes

    return np.array(tensor.data.view(getattr(ml_dtypes, name)))
