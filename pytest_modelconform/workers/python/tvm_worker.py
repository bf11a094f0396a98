"""TVM's virtual machine on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tvm
from tvm import relax

from .. import flat
from ..arrays import Array
from ..loop import Handlers


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""
    all_cores = 1  # the mode in which the number is heeded
    tvm.get_global_func("runtime.config_threadpool")(all_cores, threads)

    def load(request: dict[str, Any]) -> flat.Model:
        machine = relax.VirtualMachine(tvm.runtime.load_module(request["model"]), tvm.cpu())

        def model(feeds: Mapping[str, Array], fetches: Sequence[str]) -> Sequence[Any]:
            # Inputs and outputs have no names, but the graph's order.
            found = machine["main"](*(tvm.runtime.tensor(np.asarray(array, order="C")) for array in feeds.values()))
            return [value.numpy() for value in ([found] if hasattr(found, "numpy") else found)]

        return model

    return flat.handlers({"name": "tvm", "version": tvm.__version__, "devices": ["cpu"]}, load)
