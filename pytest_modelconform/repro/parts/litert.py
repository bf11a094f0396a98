"""LiteRT's interpreter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def load(path: Path, device: str, fast: bool) -> Any:
    return Interpreter(str(path)).get_signature_runner()


def run(model: Any, inputs: dict[str, Any], outputs: list[str]) -> list[Any]:
    details = model.get_input_details()
    found = model(**{name: suited(array, details[name]) for name, array in inputs.items()})
    return [np.array(found[name]) for name in outputs]


def suited(array: Any, details: Any) -> Any:
    """The runner would resize a model of static shapes, and compute something else."""
    declared = [int(length) for length in details["shape_signature"]]
    if len(declared) != array.ndim or any(d not in (-1, s) for d, s in zip(declared, array.shape, strict=True)):
        raise ValueError(f"an input has the shape {list(array.shape)}, the model takes {declared}")
    return array.astype(np.int32) if array.dtype == np.int64 and details["dtype"] == np.int32 else array
