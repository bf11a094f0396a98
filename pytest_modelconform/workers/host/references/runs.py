"""The answer to `reference`: eager's outputs, the float64 ones and the jittered ones, for each input set."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from pytest_modelconform.terms import runs as terms
from pytest_modelconform.terms.case import TORCH
from pytest_modelconform.terms.runs import JITTERED_RUNS, TRANSPOSED, VALUES, WIDE_RUNS, WIDE_UNITS

from ... import tensors
from ...loop import WorkerError
from ...tensors import Tensor
from ...torch_tensors import Tree, encode, leaves
from ..build import Built, encode_inputs
from ..cast import failing_operator
from ..frameworks import NoisyModule
from ..generate import contiguous
from ..state import seed_all, seed_of
from . import blind_spots
from .float64 import Jitter, in_float64, moved

FLOATING = {
    *("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"),
    *("complex64", "complex128"),
}
# Moves the model for the k-th run; returns what adds that run of an input set.
Move = Callable[[int], Callable[[str, dict[str, Tensor]], None]]


def jittered(built: Built) -> Move:
    """The runs with parameters, buffers and inputs moved by one unit in the last place, and the wide ones."""
    jitter = Jitter(built.model)

    def move(k: int) -> Callable[[str, dict[str, Tensor]], None]:
        units = 1 if k <= JITTERED_RUNS else WIDE_UNITS
        jitter.move(seed_of(built.case.seed, built.name, "jitter", k), units)
        return lambda key, runs: _jittered(built, key, k, units, jitter.model, runs)

    return move


def make(built: Built, folder: str, moves: Callable[[Built], Move] = jittered, search: bool = True) -> dict[str, Any]:
    """Write `inputs-<set>.safetensors` and `runs-<set>.safetensors` for each input set; return what is in them.

    Keys of the latter are `<run>:<path of the output>`, with run `e0` for eager, `r` for float64, `e1` … for the
    jittered ones (from `e5` on the wide ones, without floating-point outputs), `again` for a second eager run, where
    that gave other bits, and `contiguous` for eager on the row-major copy of transposed inputs.

    moves: makes the runs that show eager's noise. search: whether to look for what the case can't see. A generated set
    that the model itself can't run is left out; `left_out` says why, by name.
    """
    # Gradients, by which that is told, are PyTorch's.
    search = search and moves is jittered and built.case.framework == TORCH
    runs: dict[str, dict[str, Tensor]] = {}
    sets: dict[str, dict[str, Any]] = {}
    left_out: dict[str, str] = {}

    def attempt(key: str, what: Callable[[], None]) -> None:
        try:
            what()
        except Exception as error:
            if key not in built.generated:
                raise
            left_out[key] = str(error)
            sets.pop(key, None)

    def one_set(key: str) -> None:
        runs[key] = {}
        sets[key] = _one_set(built, key, runs[key], folder)

    settled = _settled(built) if moves is jittered else []
    for key in built.inputs:
        attempt(key, partial(one_set, key))
    move = moves(built)
    for k in range(1, JITTERED_RUNS + WIDE_RUNS + 1 if moves is jittered else JITTERED_RUNS + 1):
        add = move(k)
        for key in list(sets):
            attempt(key, partial(add, key, runs[key]))
    if TRANSPOSED in sets:
        sets.pop(VALUES, None)  # the same values, and not transposed
    for key in sets:
        tensors.write(os.path.join(folder, terms.runs_file(key)), runs[key])
    return {
        "digest": built.digest,
        "files": built.files,
        "exporter_set": built.exporter_set,
        "input_leaves": built.input_leaves,
        "output_paths": paths(sets[built.exporter_set]["outputs"]),
        "sets": sets,
        "generated": {key: [built.generated[key].why, built.generated[key].may_refuse] for key in built.generated},
        "left_out": left_out,
        "framework": built.case.framework,
        "blind_ok": bool(built.case.blind_ok),
        "accept": sorted(built.case.accept),
        "tolerance": asdict(built.case.tolerance),
        "tolerances": {key: asdict(tolerance) for key, tolerance in built.case.tolerances.items()},
        "notes": [*built.notes, *settled],
        "parameters": sum(p.numel() for p in built.model.parameters()),
        "unseen": blind_spots.find(built, runs, run) if search else blind_spots.NOT_LOOKED_FOR,
    }


def _settled(built: Built) -> list[str]:
    """Notes of what a model of another framework is measured by. Raises WorkerError where there is nothing."""
    if not isinstance(built.model, NoisyModule):
        return []
    try:
        return built.model.settle([built.clone_inputs(key) for key in built.inputs if key not in built.generated])
    except Exception as error:
        raise WorkerError(f"case {built.name!r}: {error}", "reference") from error


def paths(tree: Tree) -> list[str]:
    """Keys of a tree's tensors, in order."""
    kind, content = next(iter(tree.items()))
    if kind == "tensor":
        return [content]
    children = content if kind in ("list", "tuple") else [item for _, item in content] if kind == "dict" else []
    return [path for child in children for path in paths(child)]


def run(
    built: Built,
    key: str,
    model: Callable[..., Any],
    args: Any,
    kwargs: Any,
    purpose: str = "run",
    grad: bool = False,
) -> Any:
    """Call a model. Each run has the same seeds; a model that draws random numbers is told by another purpose."""
    seed_all(built.case.seed, built.name, key, purpose)
    with torch.set_grad_enabled(grad):
        return model(*args, **kwargs)


def _one_set(built: Built, key: str, runs: dict[str, Tensor], folder: str) -> dict[str, Any]:
    """Write the inputs of a set; add eager's runs and the float64 one to `runs`."""
    where = _where(built, key)
    written: dict[str, Tensor] = {}
    tree_args, tree_kwargs = encode_inputs(*built.inputs[key], written)
    tensors.write(os.path.join(folder, terms.inputs_file(key)), written)

    args, kwargs = built.clone_inputs(key)
    versions = _versions(built.model)
    begin = time.perf_counter()
    try:
        returned = run(built, key, built.model, args, kwargs)
    except Exception as error:
        raise WorkerError(f"{where}: {_failure(built, key, error)}", "reference") from error
    seconds = time.perf_counter() - begin
    eager: dict[str, Tensor] = {}
    outputs = encode(returned, str, eager)
    if not eager:
        raise WorkerError(f"{where}: the model returns no tensor", "reference")
    runs.update((terms.key(terms.FIRST, path), tensor) for path, tensor in eager.items())
    changed = _changed(built.inputs[key], (args, kwargs))
    state = [name for name, version in _versions(built.model).items() if versions.get(name) != version]
    views = _views(returned, (args, kwargs))

    again = _again(built, key, "another run")
    repeats = True
    if again != eager:
        runs.update((terms.key(terms.AGAIN, path), tensor) for path, tensor in again.items())
        # With the seeds of the first run: what differs now isn't drawn, it is kept.
        repeats = _again(built, key) == eager
    if key == TRANSPOSED:
        row_major = _outputs(run(built, key, built.model, *contiguous(built.clone_inputs(key))))
        runs.update((terms.key(terms.ROW_MAJOR, path), tensor) for path, tensor in row_major.items())

    returned, impure = in_float64(built.model, *built.clone_inputs(key), partial(run, built, key))
    if returned is not None:
        # encode() refuses nothing here that it took above; where float64 takes another branch, shapes may differ.
        wide: dict[str, Tensor] = {}
        encode(returned, str, wide)
        runs.update((terms.key(terms.FLOAT64, path), tensor) for path, tensor in wide.items())

    return {
        "args": tree_args,
        "kwargs": tree_kwargs,
        "outputs": outputs,
        "impure": impure,
        "inputs_changed": changed,
        "state_changed": state,
        "views": views,
        "repeats": repeats,
        "seconds": seconds,
        "leaves": [{"path": path, "shape": list(tensor.shape)} for path, tensor in written.items()],
    }


def _failure(built: Built, key: str, error: Exception) -> str:
    """Say that the model fails, and in a dtype that it was cast to, in which operator: that is then what lacks it."""
    fault = f"{type(error).__name__}: {error}"
    if built.dtype == "float32":
        return f"the model itself fails: {fault}"
    operator = failing_operator(lambda: run(built, key, built.model, *built.clone_inputs(key)))
    return f"the model itself fails in {built.dtype}{f', operator {operator}' if operator else ''}: {fault}"


def _outputs(returned: Any) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    encode(returned, str, found)
    return found


def _again(built: Built, key: str, purpose: str = "run") -> dict[str, Tensor]:
    """Outputs of a further eager run; another purpose is another seed."""
    return _outputs(run(built, key, built.model, *built.clone_inputs(key), purpose=purpose))


def _versions(model: torch.nn.Module) -> dict[str, tuple[int, int]]:
    """By name of each parameter and buffer what changes when it is written to, or replaced by another tensor."""
    state = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {name: (id(value), value._version) for name, value in state.items()}


def _views(returned: Any, call: Any) -> list[str]:
    """Paths of the outputs that share memory with an input."""
    memory = {leaf.untyped_storage().data_ptr() for leaf in tree_leaves(call) if isinstance(leaf, torch.Tensor)}
    return [path for path, value in leaves(returned) if value.numel() and value.untyped_storage().data_ptr() in memory]


def _jittered(built: Built, key: str, k: int, units: int, model: torch.nn.Module, runs: dict[str, Tensor]) -> None:
    """Add the k-th jittered run to `runs`; of a wide one only what isn't compared by its noise."""
    seed = seed_of(built.case.seed, built.name, "jitter", key, k)
    args, kwargs = built.clone_inputs(key)
    if isinstance(built.model, NoisyModule):
        noisy = partial(built.model.run_with_noise, seed, float(units))
        add_run(built, key, k, noisy, (args, kwargs), runs, "the noise of faithful operators")
        _without_numbers(k, units, runs)
        return
    generator = torch.Generator().manual_seed(seed)
    inputs = (moved(args, generator, units), moved(kwargs, generator, units))
    by = "one unit" if units == 1 else f"{units} units"
    add_run(built, key, k, model, inputs, runs, f"parameters and inputs moved by {by} in the last place")
    _without_numbers(k, units, runs)


def _without_numbers(k: int, units: int, runs: dict[str, Tensor]) -> None:
    """Of a wide run only what isn't compared by its noise."""
    if units > 1:
        for name, tensor in list(runs.items()):
            if name.startswith(terms.key(terms.jittered(k), "")) and tensor.dtype in FLOATING:
                del runs[name]


def add_run(
    built: Built,
    key: str,
    k: int,
    model: Callable[..., Any],
    inputs: tuple[Any, Any],
    runs: dict[str, Tensor],
    what: str,
) -> None:
    """Add the k-th run with `what` to `runs`. Raises WorkerError where its outputs have other shapes than eager's."""
    found: dict[str, Tensor] = {}
    encode(run(built, key, model, *inputs), str, found)
    first = terms.key(terms.FIRST, "")
    eager = {name.removeprefix(first): tensor for name, tensor in runs.items() if name.startswith(first)}
    if {p: (t.dtype, t.shape) for p, t in found.items()} != {p: (t.dtype, t.shape) for p, t in eager.items()}:
        raise WorkerError(
            f"{_where(built, key)}: outputs depend on rounding: with {what} "
            "the model returns other shapes; choose other inputs, or a threshold that no value is close to",
            "reference",
        )
    runs.update((terms.key(terms.jittered(k), path), tensor) for path, tensor in found.items())


def _where(built: Built, key: str) -> str:
    return f"case {built.name!r}, input set {key!r}"


def _changed(before: tuple[Any, Any], after: tuple[Any, Any]) -> list[str]:
    """Paths of the inputs that the model changed."""
    first: dict[str, Tensor] = {}
    second: dict[str, Tensor] = {}
    encode_inputs(*before, first)
    encode_inputs(*after, second)
    return [path for path, tensor in first.items() if second.get(path) != tensor]
