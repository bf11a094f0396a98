"""IREE's runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from iree import runtime


def load(path: Path, device: str, fast: bool) -> Any:
    module = runtime.load_vm_flatbuffer_file(str(path), driver="local-task")
    # Not the functions that set up constants, or that don't wait.
    [name] = [name for name in module.vm_module.function_names if not name.startswith("__") and "$" not in name]
    return module[name]


def run(model: Any, inputs: dict[str, Any], outputs: list[str]) -> list[Any]:
    # Inputs and outputs have no names, but the graph's order.
    found = model(*(np.asarray(array, order="C") for array in inputs.values()))
    return [value.to_host() for value in (found if isinstance(found, (tuple, list)) else [found])]
