"""MNN on the CPU."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import MNN
import numpy as np
from MNN import expr

from .. import flat, words
from ..arrays import Array
from ..loop import Handlers, WorkerError

# A constant of any other type is made of the array's bytes, whatever they mean (seen with 3.6.1: int64, float64).
TYPES = {"float32": expr.float, "int32": expr.int, "uint8": expr.uint8}
WINOGRAD_MEMORY_LEVEL = 3  # MNN::Interpreter::HintMode


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""

    def load(request: dict[str, Any]) -> flat.Model:
        with open(os.path.join(os.path.dirname(request["model"]), "signature.json")) as file:
            signature = json.load(file)
        inputs = [value["name"] for value in signature["inputs"]]
        outputs = [value["name"] for value in signature["outputs"]]
        manager = runtime_manager(threads)
        module = MNN.nn.load_module_from_file(request["model"], inputs, outputs, runtime_manager=manager)

        def model(feeds: Mapping[str, Array], fetches: Sequence[str]) -> Sequence[Any]:
            given = [to_mnn(feeds[name], name) for name in inputs]
            # It prints why it fails, and returns fewer outputs or none.
            with words.caught() as said:
                computed = module.onForward(given)
            if len(computed) != len(outputs):
                reason = said.last() or "it gives no reason"
                raise WorkerError(f"MNN computed {len(computed)} of {len(outputs)} outputs: {reason}")
            found = dict(zip(outputs, computed, strict=True))
            return [np.array(expr.convert(found[name], expr.NCHW).read()) for name in fetches]

        return model

    return flat.handlers({"name": "mnn", "version": MNN.version(), "devices": ["cpu"]}, load)


def runtime_manager(threads: int) -> Any:
    """How MNN computes: in float32, and with the smallest of its Winograd transforms only.

    Measured with 3.6.1 and ResNet-18: the large ones, its default, keep 15.4 of 21 bits, without them it is 20.3.
    """
    config = {"backend": "CPU", "precision": "high", "memory": "high", "numThread": threads}
    manager = MNN.nn.create_runtime_manager((config,))
    manager.set_hint(WINOGRAD_MEMORY_LEVEL, 0)
    return manager


def to_mnn(array: Array, name: str) -> Any:
    """The array as a variable. MNN has no int64 and no bool; what becomes an int32 has to fit one."""
    if array.dtype.name in ("int64", "bool"):
        narrow = array.astype(np.int32)
        if not np.array_equal(narrow, array):
            raise WorkerError(f"input {name!r} holds numbers that don't fit int32, and MNN has no int64")
        array = narrow
    if array.dtype.name not in TYPES:
        raise WorkerError(f"input {name!r} is {array.dtype.name}: MNN's Python takes {', '.join(TYPES)}")
    return expr.const(np.asarray(array, order="C"), list(array.shape), expr.NCHW, TYPES[array.dtype.name])
