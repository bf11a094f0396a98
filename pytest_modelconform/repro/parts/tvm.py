"""TVM's virtual machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tvm
from tvm import relax


def load(path: Path, device: str, fast: bool) -> Any:
    return relax.VirtualMachine(tvm.runtime.load_module(str(path)), tvm.cpu())


def run(model: Any, inputs: dict[str, Any], outputs: list[str]) -> list[Any]:
    # Inputs and outputs have no names, but the graph's order.
    found = model["main"](*(tvm.runtime.tensor(np.asarray(array, order="C")) for array in inputs.values()))
    return [value.numpy() for value in ([found] if hasattr(found, "numpy") else found)]
