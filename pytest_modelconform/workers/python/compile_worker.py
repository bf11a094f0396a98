"""`torch.compile`: compiles a model that it builds from its case, or an exported program, and says what became of it.

What is compiled is so when it is first called, so that exceptions of the compiler are those of a run.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.utils._pytree import tree_flatten

from ..loop import Answer, Handlers, WorkerError
from ..torch_tensors import release_memory
from . import compiled
from .fitted import fitting
from .torch_worker import load_program, register_operators, run, set_precision


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""
    torch.set_num_threads(threads)
    loaded: list[Callable[..., Any]] = []

    def hello(request: dict[str, Any]) -> Answer:
        if not torch._dynamo.eval_frame.is_dynamo_supported():
            version = ".".join(map(str, sys.version_info[:2]))
            said = f"torch.compile of PyTorch {torch.__version__} doesn't run in Python {version}: use another Python"
            raise WorkerError(said, kind="Unavailable")
        devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
        about = {"name": "torch.compile", "version": torch.__version__, "language": "Python"}
        return {**about, "layout": "tree", "devices": devices}

    def load(request: dict[str, Any]) -> Answer:
        unload(request)
        set_precision(request.get("precision") == "fast")
        register_operators(request)
        begin = time.perf_counter()
        case = request.get("case")
        model, spec = load_program(request["model"], device) if case is None else built(case, device)
        loaded.append(fitting(compile_model(model, request.get("options", {}), request.get("dynamic", {})), spec))
        return {"seconds": time.perf_counter() - begin}

    def run_loaded(request: dict[str, Any]) -> Answer:
        if not loaded:
            raise WorkerError("run without a loaded model")
        compiled.forget()
        return {**run(loaded[0], request, device), "compiled": compiled.summary()}

    def unload(request: dict[str, Any]) -> Answer:
        loaded.clear()
        torch._dynamo.reset()
        gc.collect()  # modules and what was compiled of them are in cycles
        release_memory(device)
        return {}

    return {"hello": hello, "load": load, "run": run_loaded, "unload": unload}


def built(case: Mapping[str, Any], device: str) -> tuple[torch.nn.Module, Any]:
    """The model of a case, and the pytree of its exporters' input set. case: as `Format.IN_PLACE` says.

    Raises WorkerError where it is another model than before.
    """
    # Here, since a process that only loads programs does without it.
    from ..host import own_operators
    from ..host.build import build, other_numbers

    sys.path += [folder for folder in case["path"] if folder not in sys.path]
    own_operators.register(case)
    found = build(case["file"], case["relative"], case["case"], case["dtype"])
    if found.digest != case["digest"]:
        raise other_numbers(found)
    return found.model.to(device), tree_flatten(found.inputs[found.exporter_set])[1]


def compile_model(
    model: Callable[..., Any],
    options: Mapping[str, Any],
    dynamic: Mapping[str, Sequence[int]],
    backend: str = "inductor",
) -> Callable[..., Any]:
    """What a model is called by once it is compiled.

    options: for `torch.compile`. dynamic: by path of a tensor (`/args/0`) the dimensions that may vary. They are marked
    in each call, as far as the model lets them vary; other sizes that change are a recompilation.
    """
    compiled.allow_recompilations()
    made = torch.compile(model, backend=backend, **options)
    replays = options.get("mode") == "reduce-overhead"

    def call(*args: Any, **kwargs: Any) -> Any:
        for path, tensor in leaves({"args": args, "kwargs": kwargs}, ""):
            for axis in dynamic.get(path, ()):
                torch._dynamo.maybe_mark_dynamic(tensor, axis)
        if replays:
            torch.compiler.cudagraph_mark_step_begin()  # results of the last call have been read
        return made(*args, **kwargs)

    return call


def leaves(value: Any, path: str) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors of a call, each with its path, as signatures write it."""
    if isinstance(value, torch.Tensor):
        yield path, value
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from leaves(entry, f"{path}/{key}")
    elif isinstance(value, (list, tuple)):
        for place, entry in enumerate(value):
            yield from leaves(entry, f"{path}/{place}")
