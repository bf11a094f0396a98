"""MNN."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import MNN
import numpy as np
from MNN import expr

TYPES = {"float32": expr.float, "int32": expr.int, "uint8": expr.uint8}
WINOGRAD_MEMORY_LEVEL = 3  # MNN::Interpreter::HintMode


def load(path: Path, device: str, fast: bool) -> Any:
    signature = json.loads((path.parent / "signature.json").read_text())
    inputs = [value["name"] for value in signature["inputs"]]
    outputs = [value["name"] for value in signature["outputs"]]
    manager = MNN.nn.create_runtime_manager(({"backend": "CPU", "precision": "high", "memory": "high"},))
    manager.set_hint(WINOGRAD_MEMORY_LEVEL, 0)  # the large transforms lose bits
    return inputs, outputs, MNN.nn.load_module_from_file(str(path), inputs, outputs, runtime_manager=manager)


def run(model: Any, inputs: dict[str, Any], outputs: list[str]) -> list[Any]:
    names, results, module = model
    found = dict(zip(results, module.onForward([to_mnn(inputs[name]) for name in names]), strict=True))
    return [np.array(expr.convert(found[name], expr.NCHW).read()) for name in outputs]


def to_mnn(array: Any) -> Any:
    """MNN has no int64 and no bool."""
    if array.dtype.name in ("int64", "bool"):
        array = array.astype(np.int32)
    return expr.const(np.ascontiguousarray(array), list(array.shape), expr.NCHW, TYPES[array.dtype.name])
