"""A graph in a runtime that takes and returns arrays by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .compare import check
from .tensor_files import HERE, read


def run_artifact(facts: dict[str, Any], load: Callable[..., Any], run: Callable[..., list[Any]]) -> int:
    model = load(HERE / facts["model"], facts["device"], facts["fast"])

    def call(name: str) -> dict[str, Any]:
        arrays = read(f"inputs-{name}.safetensors")
        inputs = {graph_name: arrays[key] for graph_name, key in facts["inputs"].items()}
        found = run(model, inputs, list(facts["outputs"]))
        return dict(zip(facts["outputs"].values(), found, strict=True))

    return check(facts["sets"], facts["repeats"], call)
