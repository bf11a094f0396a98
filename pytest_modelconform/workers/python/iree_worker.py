"""IREE's runtime on the CPU."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from iree import runtime
from iree.runtime import flags

from .. import flat
from ..arrays import Array
from ..loop import Handlers, WorkerError


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""
    # Read when the driver starts, with the first model.
    flags.parse_flags(f"--task_topology_max_group_count={threads}")

    def load(request: dict[str, Any]) -> flat.Model:
        module = runtime.load_vm_flatbuffer_file(request["model"], driver="local-task")
        # The graph's function; the others are the same without waiting, and what sets up constants.
        names = [name for name in module.vm_module.function_names if not name.startswith("__") and "$" not in name]
        if len(names) != 1:
            raise WorkerError(f"the module has the functions {', '.join(names)}, not one")
        function = module[names[0]]

        def model(feeds: Mapping[str, Array], fetches: Sequence[str]) -> Sequence[Any]:
            # Inputs and outputs have no names, but the graph's order.
            found = function(*(np.asarray(array, order="C") for array in feeds.values()))
            return [value.to_host() for value in (found if isinstance(found, (tuple, list)) else [found])]

        return model

    version = importlib.metadata.version("iree-base-runtime")
    return flat.handlers({"name": "iree", "version": version, "devices": ["cpu"]}, load)
