"""tinygrad."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

# Read when tinygrad is imported. It also needs a clang: on the PATH, or named by CC.
os.environ.setdefault("DEV", "CPU")


def load(path: Path, device: str, fast: bool) -> Any:
    from tinygrad.nn.onnx import OnnxRunner

    # One for each call: a runner keeps the lengths of its first one.
    return lambda: OnnxRunner(str(path))


def run(model: Any, inputs: dict[str, Any], outputs: list[str]) -> list[Any]:
    from tinygrad.tensor import Tensor

    found = model()({name: to_tinygrad(array) for name, array in inputs.items()})
    wanted = [found[name] for name in outputs]
    Tensor.realize(*wanted)
    return [from_tinygrad(tensor) for tensor in wanted]


def to_tinygrad(array: Any) -> Any:
    from tinygrad.dtype import dtypes
    from tinygrad.tensor import Tensor

    if array.dtype.name == "bfloat16":
        return Tensor(array.view("uint16")).bitcast(dtypes.bfloat16)
    return Tensor(array)


def from_tinygrad(tensor: Any) -> Any:
    from tinygrad.dtype import dtypes

    if tensor.dtype == dtypes.bfloat16:
        import ml_dtypes

        return tensor.bitcast(dtypes.uint16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()
