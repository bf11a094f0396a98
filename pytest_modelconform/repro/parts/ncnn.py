"""ncnn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ncnn
import numpy as np

# All of these compute with, or keep, numbers of 16 bits.
REDUCED = ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage")


def load(path: Path, device: str, fast: bool) -> Any:
    signature = json.loads((path.parent / "signature.json").read_text())
    net = ncnn.Net()
    for name in REDUCED:
        setattr(net.opt, f"use_{name}", False)
    net.opt.use_vulkan_compute = False
    assert net.load_param(str(path)) == 0, "load_param fails"
    assert net.load_model(str(path.parent / signature["weights"])) == 0, "load_model fails"
    return net, signature["batch_axes"]


def run(model: Any, inputs: dict[str, Any], outputs: list[str]) -> list[Any]:
    net, axes = model
    extractor = net.create_extractor()
    # A Mat may look into the array: it has to live as long. There is no int64.
    arrays = {
        name: np.ascontiguousarray(array.astype(np.int32) if array.dtype == np.int64 else array)
        for name, array in inputs.items()
    }
    for name, array in arrays.items():
        assert extractor.input(name, ncnn.Mat(array, batch_index=axes[name]).clone()) == 0, f"input {name} fails"
    found = []
    for name in outputs:
        mat = ncnn.Mat()
        assert extractor.extract(name, mat) == 0, f"output {name} fails"
        found.append(np.array(mat.numpy(batch_index=axes[name])))
    return found
