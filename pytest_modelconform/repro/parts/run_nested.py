"""An artifact that is called like the model itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .compare import check
from .tensor_files import HERE, read
from .torch_arrays import to_torch


def run_artifact(facts: dict[str, Any], load: Callable[..., Any], run_nested: Callable[..., dict[str, Any]]) -> int:
    model = load(HERE / facts["model"], facts["device"], facts["fast"])

    def call(name: str) -> dict[str, Any]:
        arrays = read(f"inputs-{name}.safetensors")
        args, kwargs = facts["calls"][name]({key: to_torch(array).to(facts["device"]) for key, array in arrays.items()})
        return run_nested(model, args, kwargs)

    return check(facts["sets"], facts["repeats"], call)
