"""LiteRT's models, in its interpreter."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from .. import flat
from ..arrays import Array
from ..loop import Handlers


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""

    def load(request: dict[str, Any]) -> flat.Model:
        runner = Interpreter(request["model"], num_threads=threads).get_signature_runner()
        details = runner.get_input_details()

        def model(feeds: Mapping[str, Array], fetches: Sequence[str]) -> Sequence[Any]:
            results = runner(**{name: suited(name, array, details[name]) for name, array in feeds.items()})
            return [results[name] for name in fetches]

        return model

    version = importlib.metadata.version("ai-edge-litert")
    return flat.handlers({"name": "litert", "version": version, "devices": ["cpu"]}, load)


def suited(name: str, array: Array, details: Mapping[str, Any]) -> Array:
    """The array as the model takes it. Raises ValueError for a shape that it doesn't, and for integers too large.

    The runner itself resizes whatever it is given, and a model of static shapes then computes something else.
    """
    declared = [int(length) for length in details["shape_signature"]]
    if len(declared) != array.ndim or any(d not in (-1, s) for d, s in zip(declared, array.shape, strict=True)):
        raise ValueError(f"input {name} has the shape {list(array.shape)}, the model takes {declared}")
    if array.dtype == np.int64 and details["dtype"] == np.int32:
        narrow = array.astype(np.int32)
        if not np.array_equal(narrow, array):
            raise ValueError(f"input {name} has integers that 32 bits don't hold, and the model takes int32")
        return narrow
    return array
