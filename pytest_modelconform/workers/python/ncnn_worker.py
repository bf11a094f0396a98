"""ncnn on the CPU."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ncnn
import numpy as np

from .. import flat, words
from ..arrays import Array
from ..loop import Handlers, WorkerError

# All of these keep numbers, or compute with them, in 16 bits.
REDUCED = (
    "use_fp16_packed",
    "use_fp16_storage",
    "use_fp16_arithmetic",
    "use_bf16_packed",
    "use_bf16_storage",
)


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""

    def load(request: dict[str, Any]) -> flat.Model:
        folder = os.path.dirname(request["model"])
        with open(os.path.join(folder, "signature.json")) as file:
            signature = json.load(file)
        axes: dict[str, int] = signature["batch_axes"]
        net = open_net(request["model"], os.path.join(folder, signature["weights"]), threads)

        def model(feeds: Mapping[str, Array], fetches: Sequence[str]) -> Sequence[Any]:
            extractor = net.create_extractor()
            # A Mat may look into the array: it has to live as long.
            arrays = {name: to_ncnn(array, name) for name, array in feeds.items()}
            for name, array in arrays.items():
                mat = ncnn.Mat(array, batch_index=axes[name]).clone()
                done(lambda name=name, mat=mat: extractor.input(name, mat), f"input {name}")  # type: ignore[misc]
            found = []
            for name in fetches:
                mat = ncnn.Mat()
                done(lambda name=name, mat=mat: extractor.extract(name, mat), f"output {name}")  # type: ignore[misc]
                # A view into the Mat.
                found.append(np.array(mat.numpy(batch_index=axes[name])))
            return found

        return model

    return flat.handlers({"name": "ncnn", "version": ncnn.__version__, "devices": ["cpu"]}, load)


def open_net(parameters: str, weights: str, threads: int) -> Any:
    """The model, computed in float32."""
    net = ncnn.Net()
    for name in REDUCED:
        setattr(net.opt, name, False)
    net.opt.use_vulkan_compute = False
    net.opt.num_threads = threads
    done(lambda: net.load_param(parameters), "its graph")
    done(lambda: net.load_model(weights), "its weights")
    return net


def done(call: Callable[[], int], what: str) -> None:
    """Ncnn tells a failure by a number, and the reason to stderr. Raises WorkerError."""
    with words.caught() as said:
        status = call()
    if status:
        raise WorkerError(f"ncnn refuses {what} (status {status}): {said.last(1) or 'it gives no reason'}")


def to_ncnn(array: Array, name: str) -> Array:
    """A row-major array of 32 bits; pnnx has made int32 of int64."""
    if array.dtype.name == "int64":
        narrow = array.astype(np.int32)
        if not np.array_equal(narrow, array):
            raise WorkerError(f"input {name!r} holds numbers that don't fit int32, and ncnn has no int64")
        array = narrow
    if array.dtype.name not in ("float32", "int32"):
        raise WorkerError(f"input {name!r} is {array.dtype.name}: ncnn's Python takes float32 and int32")
    return np.asarray(array, order="C")
