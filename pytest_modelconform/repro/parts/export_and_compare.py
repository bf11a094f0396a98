"""Exports the model, runs what was exported, and compares both with what the model returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .compare import check
from .export_model import case_of, export_model, model_of, returned
from .torch_arrays import leaves


def check_export(facts: dict[str, Any], export: Callable[..., None], run_exported: Callable[[], int]) -> int:
    """0: as expected; 1: what was exported differs; 2: the model itself does, on this machine."""
    made = facts["export"]
    print("== the model itself, in PyTorch")
    model = model_of(made, case_of(made))

    def call(name: str) -> dict[str, Any]:
        return leaves(returned(made, model, made["calls"][name], f"inputs-{name}.safetensors"))

    if check(facts["run"]["sets"], 1, call):
        print("the model itself gives other numbers on this machine: that says nothing of the export")
        return 2
    print("== its export")
    export_model(made, export)
    print("== what was exported")
    return run_exported()
