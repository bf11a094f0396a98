"""A graph in a runtime that takes and returns arrays by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .compare import check
from .tensor_files import HERE, read


def run_artifact(facts: dict[str, Any], load: Callable[..., Any], run: Callable[..., list[Any]]) -> int:
    model = load(HERE / facts["model"], facts["device"], facts["fast"])

    def call(name: str) -> dict[str, Any]:
        arrays = read(f"inputs-{name}.safetensors")
        inputs = {graph_name: arrays[key] for graph_name, key in facts["inputs"].items()}
        if facts.get("pairs"):
            # The file takes complex numbers as pairs of real ones.
            inputs = {
                graph_name: np.stack([array.real, array.imag], -1) if np.iscomplexobj(array) else array
                for graph_name, array in inputs.items()
            }
        found = run(model, inputs, list(facts["outputs"]))
        return dict(zip(facts["outputs"].values(), found, strict=True))

    return check(facts["sets"], facts["repeats"], call)
