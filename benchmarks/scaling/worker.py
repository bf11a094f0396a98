"""A runtime that knows one model, 3x + 1, and imports nothing but the standard library."""

from __future__ import annotations

import array
from typing import Any

from modelconform_workers import tensors


def run(request: dict[str, Any]) -> dict[str, Any]:
    """The further runs are bit for bit the same."""
    [tree] = request["args"]
    tensor = tensors.read(request["inputs"])[tree["tensor"]]
    result = array.array("f", [3.0 * value + 1.0 for value in array.array("f", bytes(tensor.data))])
    tensors.write(request["outputs"], {"0": tensor._replace(data=result.tobytes())})
    first: dict[str, Any] = {"seconds": 0.0, "outputs": {"tensor": "0"}}
    return {
        "runs": [first, *({"seconds": 0.0, "same_as": 0} for _ in range(request["repeats"] - 1))],
        "inputs_changed": [],
    }


def handlers(device: str, threads: int) -> dict[str, Any]:
    """Handlers for `loop.serve`."""
    hello = {"name": "scale", "version": "1", "language": "Python", "layout": "tree", "devices": ["cpu"]}
    return {
        "hello": lambda request: hello,
        "load": lambda request: {"seconds": 0.0},
        "run": run,
        "unload": lambda request: {},
    }
