"""tract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tract


def load(path: Path, device: str, fast: bool) -> Any:
    model = tract.onnx().load(str(path)).into_model()
    names = [model.input_name(i) for i in range(model.input_count())]
    return names, model.into_runnable()


def run(model: Any, inputs: dict[str, Any], outputs: list[str]) -> list[Any]:
    names, runnable = model
    # Outputs have no names, but the graph's order.
    return [tensor.to_numpy() for tensor in runnable.run([inputs[name] for name in names])]
