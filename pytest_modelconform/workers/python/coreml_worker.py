"""ML programs in Core ML, on macOS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import coremltools
import numpy as np

from .. import flat
from ..arrays import Array
from ..loop import Handlers


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""

    def load(request: dict[str, Any]) -> flat.Model:
        # The GPU and the Neural Engine compute in float16.
        program = coremltools.models.MLModel(request["model"], compute_units=coremltools.ComputeUnit.CPU_ONLY)
        booleans = set(request["booleans"])

        def model(feeds: Mapping[str, Array], fetches: Sequence[str]) -> Sequence[Any]:
            results = program.predict({name: to_coreml(name, array) for name, array in feeds.items()})
            return [to_bool(name, results[name]) if name in booleans else results[name] for name in fetches]

        return model

    return flat.handlers({"name": "coreml", "version": coremltools.__version__, "devices": ["cpu"]}, load)


def to_coreml(name: str, array: Array) -> Array:
    """The array in the dtype that Core ML has for it. Raises ValueError for integers that 32 bits don't hold."""
    if array.dtype == np.bool_:
        return array.astype(np.float32)
    if array.dtype.kind in "iu":
        narrow = array.astype(np.int32)
        if not np.array_equal(narrow, array):
            raise ValueError(f"input {name} has integers that 32 bits don't hold, and Core ML has no wider ones")
        return narrow
    return array


def to_bool(name: str, array: Array) -> Array:
    """The numbers 0 and 1 as bool. Raises ValueError for others."""
    if not np.isin(array, (0, 1)).all():
        raise ValueError(f"output {name} is bool in the model, and Core ML returned other numbers than 0 and 1")
    return array.astype(np.bool_)
