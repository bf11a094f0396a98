"""tract, reading ONNX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tract

from .. import flat
from ..arrays import Array
from ..loop import Handlers, WorkerError


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`. tract computes on one thread unless a program gives it more; its Python can't."""

    def load(request: dict[str, Any]) -> flat.Model:
        model = tract.onnx().load(request["model"]).into_model()
        inputs = [model.input_name(i) for i in range(model.input_count())]
        runnable = model.into_runnable()

        def run(feeds: Mapping[str, Array], fetches: Sequence[str]) -> Sequence[Any]:
            if set(inputs) != set(feeds):
                raise WorkerError(f"tract takes the inputs {', '.join(inputs)}, the artifact's are {', '.join(feeds)}")
            # Outputs have no names of the graph's, but its order.
            return [tensor.to_numpy() for tensor in runnable.run([feeds[name] for name in inputs])]

        return run

    return flat.handlers({"name": "tract", "version": tract.version(), "devices": ["cpu"]}, load)
