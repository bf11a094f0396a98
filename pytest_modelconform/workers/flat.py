"""The handlers of a Python worker whose runtime takes and returns numpy arrays by graph input and output name.

Python 3.8 and old numpy: workers in the environments of old frameworks use this, too.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, Mapping, Sequence

import numpy as np

from . import arrays
from .arrays import Array
from .loop import Answer, Handlers, WorkerError

# Takes arrays by graph input name and the wanted graph outputs, returns these in order.
Model = Callable[[Mapping[str, Array], Sequence[str]], Sequence[Any]]
Load = Callable[[Dict[str, Any]], Model]


def handlers(hello: dict[str, Any], load: Load) -> Handlers:
    """The handlers for a runtime. `load` takes the request and returns the model as a function.

    hello: "name", "version" and "devices" of the runtime.
    """
    loaded: list[Model] = []

    def do_load(request: dict[str, Any]) -> Answer:
        loaded.clear()
        begin = time.perf_counter()
        loaded.append(load(request))
        return {"seconds": time.perf_counter() - begin}

    def do_run(request: dict[str, Any]) -> Answer:
        if not loaded:
            raise WorkerError("run without a loaded model")
        return run(loaded[0], request)

    def do_unload(request: dict[str, Any]) -> Answer:
        loaded.clear()
        return {}

    return {
        "hello": lambda request: {"language": "Python", "layout": "flat", **hello},
        "load": do_load,
        "run": do_run,
        "unload": do_unload,
    }


def run(model: Model, request: dict[str, Any]) -> Answer:
    """Run a model as often as asked, on cloned inputs, and write every result that differs from an earlier one."""
    source = arrays.read(request["inputs"])
    fetches: list[str] = request["fetches"]
    results: list[list[Array]] = []
    runs: list[dict[str, Any]] = []
    out: dict[str, Array] = {}
    feeds: dict[str, Array] = {}
    for repeat in range(request["repeats"]):
        # order="K" keeps a transposed input transposed.
        feeds = {name: np.array(source[key], order="K") for name, key in request["feeds"]}
        begin = time.perf_counter()
        returned = model(feeds, fetches)
        seconds = time.perf_counter() - begin
        if len(returned) != len(fetches):
            raise WorkerError(f"the runtime returned {len(returned)} outputs for {len(fetches)}: {', '.join(fetches)}")
        # A runtime may hand out its own buffers, which the next run overwrites.
        result = [np.array(value) for value in returned]
        same = next((i for i, earlier in enumerate(results) if all(map(same_bits, earlier, result))), None)
        results.append(result)
        if same is not None:
            runs.append({"seconds": seconds, "same_as": same})
            continue
        keys = [f"{repeat}/{name}" for name in fetches]
        out.update(zip(keys, result))
        tree = {"dict": [[name, {"tensor": key}] for name, key in zip(fetches, keys)]}
        runs.append({"seconds": seconds, "outputs": tree})
    arrays.write(request["outputs"], out)
    changed = [key for name, key in request["feeds"] if not same_bits(feeds[name], source[key])]
    return {"runs": runs, "inputs_changed": changed}


def same_bits(a: Array, b: Array) -> bool:
    """Whether two arrays have the same dtype, shape and bytes."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    first, second = (np.ascontiguousarray(x).reshape(-1).view(np.uint8) for x in (a, b))
    return np.array_equal(first, second)
