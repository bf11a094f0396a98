"""The answer to `reference`: eager's outputs, the float64 ones and the jittered ones, for each input set."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import torch

from .. import tensors
from ..loop import WorkerError
from ..tensors import Tensor
from ..torch_tensors import Tree, encode
from .build import Built, encode_inputs
from .cast import failing_operator
from .double import Jitter, in_float64, moved
from .state import seed_all, seed_of

JITTERED_RUNS = 4
# Adds the runs that show eager's noise to those of each input set.
AddRuns = Callable[[Built, dict[str, dict[str, Tensor]]], None]


def jittered(built: Built, runs: dict[str, dict[str, Tensor]]) -> None:
    """Add the runs with parameters, buffers and inputs moved by one unit in the last place."""
    jitter = Jitter(built.model)
    for k in range(1, JITTERED_RUNS + 1):
        jitter.move(seed_of(built.case.seed, built.name, "jitter", k))
        for key in built.inputs:
            _jittered(built, key, k, jitter.model, runs[key])


def make(built: Built, folder: str, add_runs: AddRuns = jittered) -> dict[str, Any]:
    """Write `inputs-<set>.safetensors` and `runs-<set>.safetensors` for each input set; return what is in them.

    Keys of the latter are `<run>:<path of the output>`, with run `e0` for eager, `r` for float64, `e1` … for the
    jittered ones and `again` for a second eager run, where that gave other bits.
    """
    runs: dict[str, dict[str, Tensor]] = {key: {} for key in built.inputs}
    sets = {key: _one_set(built, key, runs[key], folder) for key in built.inputs}
    add_runs(built, runs)
    for key in built.inputs:
        tensors.write(os.path.join(folder, f"runs-{key}.safetensors"), runs[key])
    return {
        "digest": built.digest,
        "files": built.files,
        "exporter_set": built.exporter_set,
        "input_leaves": built.input_leaves,
        "output_paths": paths(sets[built.exporter_set]["outputs"]),
        "sets": sets,
        "blind_ok": bool(built.case.blind_ok),
        "tolerance": asdict(built.case.tolerance),
        "tolerances": {key: asdict(tolerance) for key, tolerance in built.case.tolerances.items()},
        "notes": built.notes,
        "parameters": sum(p.numel() for p in built.model.parameters()),
    }


def paths(tree: Tree) -> list[str]:
    """Keys of a tree's tensors, in order."""
    kind, content = next(iter(tree.items()))
    if kind == "tensor":
        return [content]
    children = content if kind in ("list", "tuple") else [item for _, item in content] if kind == "dict" else []
    return [path for child in children for path in paths(child)]


def _run(built: Built, key: str, model: torch.nn.Module, args: Any, kwargs: Any, purpose: str = "run") -> Any:
    """Call a model. Each run has the same seeds; a model that draws random numbers is told by another purpose."""
    seed_all(built.case.seed, built.name, key, purpose)
    with torch.no_grad():
        return model(*args, **kwargs)


def _one_set(built: Built, key: str, runs: dict[str, Tensor], folder: str) -> dict[str, Any]:
    """Write the inputs of a set; add eager's runs and the float64 one to `runs`."""
    where = _where(built, key)
    written: dict[str, Tensor] = {}
    tree_args, tree_kwargs = encode_inputs(*built.inputs[key], written)
    tensors.write(os.path.join(folder, f"inputs-{key}.safetensors"), written)

    args, kwargs = built.clone_inputs(key)
    begin = time.perf_counter()
    try:
        returned = _run(built, key, built.model, args, kwargs)
    except Exception as error:
        raise WorkerError(f"{where}: {_failure(built, key, error)}", "reference") from error
    seconds = time.perf_counter() - begin
    eager: dict[str, Tensor] = {}
    outputs = encode(returned, str, eager)
    if not eager:
        raise WorkerError(f"{where}: the model returns no tensor", "reference")
    runs.update((f"e0:{path}", tensor) for path, tensor in eager.items())
    changed = _changed(built.inputs[key], (args, kwargs))

    again = _again(built, key)
    if again != eager:
        runs.update((f"again:{path}", tensor) for path, tensor in again.items())

    returned, impure = in_float64(built.model, *built.clone_inputs(key), partial(_run, built, key))
    if returned is not None:
        # encode() refuses nothing here that it took above; where float64 takes another branch, shapes may differ.
        wide: dict[str, Tensor] = {}
        encode(returned, str, wide)
        runs.update((f"r:{path}", tensor) for path, tensor in wide.items())

    return {
        "args": tree_args,
        "kwargs": tree_kwargs,
        "outputs": outputs,
        "impure": impure,
        "inputs_changed": changed,
        "seconds": seconds,
        "leaves": [{"path": path, "shape": list(tensor.shape)} for path, tensor in written.items()],
    }


def _failure(built: Built, key: str, error: Exception) -> str:
    """Say that the model fails, and in a dtype that it was cast to, in which operator: that is then what lacks it."""
    fault = f"{type(error).__name__}: {error}"
    if built.dtype == "float32":
        return f"the model itself fails: {fault}"
    operator = failing_operator(lambda: _run(built, key, built.model, *built.clone_inputs(key)))
    return f"the model itself fails in {built.dtype}{f', operator {operator}' if operator else ''}: {fault}"


def _again(built: Built, key: str) -> dict[str, Tensor]:
    """Outputs of a second eager run, with other seeds."""
    found: dict[str, Tensor] = {}
    encode(_run(built, key, built.model, *built.clone_inputs(key), purpose="another run"), str, found)
    return found


def _jittered(built: Built, key: str, k: int, model: torch.nn.Module, runs: dict[str, Tensor]) -> None:
    """Add the k-th jittered run to `runs`."""
    generator = torch.Generator().manual_seed(seed_of(built.case.seed, built.name, "jitter", key, k))
    args, kwargs = built.clone_inputs(key)
    inputs = (moved(args, generator), moved(kwargs, generator))
    add_run(built, key, k, model, inputs, runs, "parameters and inputs moved by one unit in the last place")


def add_run(
    built: Built,
    key: str,
    k: int,
    model: torch.nn.Module,
    inputs: tuple[Any, Any],
    runs: dict[str, Tensor],
    what: str,
) -> None:
    """Add the k-th run with `what` to `runs`. Raises WorkerError where its outputs have other shapes than eager's."""
    found: dict[str, Tensor] = {}
    encode(_run(built, key, model, *inputs), str, found)
    eager = {name.removeprefix("e0:"): tensor for name, tensor in runs.items() if name.startswith("e0:")}
    if {p: (t.dtype, t.shape) for p, t in found.items()} != {p: (t.dtype, t.shape) for p, t in eager.items()}:
        raise WorkerError(
            f"{_where(built, key)}: outputs depend on rounding: with {what} "
            "the model returns other shapes; choose other inputs, or a threshold that no value is close to",
            "reference",
        )
    runs.update((f"e{k}:{path}", tensor) for path, tensor in found.items())


def _where(built: Built, key: str) -> str:
    return f"case {built.name!r}, input set {key!r}"


def _changed(before: tuple[Any, Any], after: tuple[Any, Any]) -> list[str]:
    """Paths of the inputs that the model changed."""
    first: dict[str, Tensor] = {}
    second: dict[str, Tensor] = {}
    encode_inputs(*before, first)
    encode_inputs(*after, second)
    return [path for path, tensor in first.items() if second.get(path) != tensor]
