"""The answer to `reference`: eager's outputs, the float64 ones and the noisy ones, for each input set."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_leaves

from pytest_modelconform.terms import runs as terms
from pytest_modelconform.terms.case import INT8, TORCH
from pytest_modelconform.terms.runs import TRANSPOSED, VALUES, ZEROS

from ... import tensors
from ...arrays import to_array
from ...loop import WorkerError, places_of
from ...tensors import Tensor
from ...torch_tensors import Tree, encode, leaves
from .. import kept
from ..build import Built, encode_inputs
from ..cast import failing_operator
from ..forward import constants, signature
from ..frameworks import NoisyModule
from ..generate import contiguous
from ..part_case import PartCase
from ..state import seed_of
from . import blind_spots, noisy, values_read
from .eager import run, where
from .float64 import Widened, run_wide
from .guards import guarded

_MOST_NAMED = 6


def make(
    built: Built, folder: str, noise: Callable[[Built], noisy.AddRuns] | None = None, search: bool = True
) -> dict[str, Any]:
    """Write `inputs-<set>.safetensors` and `runs-<set>.safetensors` for each input set; return what is in them.

    Keys of the latter are `<run>:<path of the output>`, with run `e0` for eager, `r` for float64, `e1` … for the noisy
    ones (the last may be wide, and then without floating-point outputs), `again` for a second eager run, where that
    gave other bits, and `contiguous` for eager on the row-major copy of transposed inputs.

    noise: makes the runs that show how far faithful arithmetic may be off; noisy.noise unless given. search: whether to
    look for what the case can't see. A generated set that the model itself can't run is left out; `left_out` says why,
    by name.
    """
    # Gradients, by which that is told, are PyTorch's.
    # Gradients don't pass a step of a quantised model.
    search = search and noise is None and built.case.framework == TORCH and built.dtype != INT8
    # What a part of a model can't see says nothing of the model.
    search = search and not isinstance(built.case, PartCase)
    runs: dict[str, dict[str, Tensor]] = {}
    sets: dict[str, dict[str, Any]] = {}
    left_out: dict[str, str] = {}

    def attempt(key: str, what: Callable[[], None]) -> None:
        try:
            what()
        except Exception as error:
            if key not in built.generated:
                raise
            left_out[key] = str(error).partition("\n")[0]
            sets.pop(key, None)

    wide = Widened(built.model)

    def one_set(key: str) -> None:
        runs[key] = {}
        sets[key] = _one_set(built, key, runs[key], folder, wide)
        if key == ZEROS:
            _check_defined(runs[key])

    settled = _settled(built) if noise is None else []
    for key in built.inputs:
        attempt(key, partial(one_set, key))
    # Before there is noise in what it keeps.
    left = kept.changed(built.kept, built.model)
    add = (noise or noisy.noise)(built)
    for key in list(sets):
        attempt(key, partial(add, key, runs[key]))
    if TRANSPOSED in sets:
        sets.pop(VALUES, None)  # the same values, and not transposed
    for key in sets:
        tensors.write(os.path.join(folder, terms.runs_file(key)), runs[key])
    unseen = blind_spots.find(built, runs, run, wide) if search else blind_spots.NOT_LOOKED_FOR
    # Last: it runs the model, and a model may keep something between calls.
    read = values_read.notes(built, run) if noise is None else []
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
        "dropout": _dropout(built),
        "blind_ok": bool(built.case.blind_ok),
        "accept": sorted(built.case.accept),
        "tolerance": asdict(built.case.tolerance),
        "tolerances": {key: asdict(tolerance) for key, tolerance in built.case.tolerances.items()},
        "notes": [*built.notes, *settled, *_left(left), *read],
        "parameters": sum(p.numel() for p in built.model.parameters()),
        "unseen": unseen,
    }


def _check_defined(runs: Mapping[str, Tensor]) -> None:
    """Raise WorkerError where zeros make NaN or infinity: what the model doesn't define, nobody has to define alike."""
    for name, tensor in runs.items():
        if tensor.dtype in noisy.FLOATING and not np.isfinite(to_array(tensor).astype(np.complex128)).all():
            raise WorkerError(f"zeros make NaN or infinity in {name.partition(':')[2] or 'the output'}", "reference")


def _settled(built: Built) -> list[str]:
    """Notes of what a model of another framework is measured by. Raises WorkerError where there is nothing."""
    if not isinstance(built.model, NoisyModule):
        return []
    try:
        return built.model.settle([built.clone_inputs(key) for key in built.inputs if key not in built.generated])
    except Exception as error:
        raise WorkerError(f"case {built.name!r}: {error}", "reference") from error


def _left(names: list[str]) -> list[str]:
    """A note of the plain attributes that eager's runs have left something in."""
    if not names:
        return []
    said = ", ".join(names[:_MOST_NAMED]) + (f" and {len(names) - _MOST_NAMED} more" if names[_MOST_NAMED:] else "")
    return [
        f"keeps something between calls in attributes that are no buffers ({said}). Exports are made of a model that "
        "was just built, and has nothing there"
    ]


def _dropout(built: Built) -> list[str]:
    """Which modules drop numbers out as the model is called, by name: those that training mode leaves on."""
    return [
        name or type(module).__name__
        for name, module in built.model.named_modules()
        if module.training and "drop" in type(module).__name__.lower() and getattr(module, "p", 1)
    ]


def paths(tree: Tree) -> list[str]:
    """Keys of a tree's tensors, in order."""
    kind, content = next(iter(tree.items()))
    if kind == "tensor":
        return [content]
    children = content if kind in ("list", "tuple") else [item for _, item in content] if kind == "dict" else []
    return [path for child in children for path in paths(child)]


def _one_set(built: Built, key: str, runs: dict[str, Tensor], folder: str, wide: Widened) -> dict[str, Any]:
    """Write the inputs of a set; add eager's runs and the float64 one to `runs`."""
    here = where(built, key)
    written: dict[str, Tensor] = {}
    tree_args, tree_kwargs = encode_inputs(*built.inputs[key], written)
    tensors.write(os.path.join(folder, terms.inputs_file(key)), written)

    args, kwargs = built.clone_inputs(key)
    versions = _versions(built.model)
    begin = time.perf_counter()
    try:
        returned = run(built, key, built.model, args, kwargs)
    except Exception as error:
        raise WorkerError(f"{here}: {_failure(built, key, error)}", "reference") from error
    seconds = time.perf_counter() - begin
    eager: dict[str, Tensor] = {}
    outputs = encode(returned, str, eager)
    if not eager:
        raise WorkerError(f"{here}: the model returns no tensor", "reference")
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
        wide.forget()
    if key == TRANSPOSED:
        row_major = _outputs(run(built, key, built.model, *contiguous(built.clone_inputs(key))))
        runs.update((terms.key(terms.ROW_MAJOR, path), tensor) for path, tensor in row_major.items())

    returned, impure = run_wide(wide.copy(), *built.clone_inputs(key), partial(run, built, key))
    if returned is not None:
        # encode() refuses nothing here that it took above; where float64 takes another branch, shapes may differ.
        exact = _outputs(returned)
        runs.update((terms.key(terms.FLOAT64, path), tensor) for path, tensor in exact.items())

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
        "leaves": [
            {"path": path, "shape": list(tensor.shape), "name": built.argument_name(path)}
            for path, tensor in written.items()
        ],
        "constants": _constants(built, key),
    }


def _constants(built: Built, key: str) -> dict[str, str]:
    """What an export has as constants, of what a set gives: all but numbers that `dynamic_shapes` says to vary."""
    spec = built.case.dynamic_shapes or {}
    named = spec if isinstance(spec, Mapping) else dict(zip(signature(built.model).parameters, spec, strict=False))
    found = constants(built.model, *built.inputs[key])
    return {name: value for name, value in found.items() if not named.get(name)}


def _failure(built: Built, key: str, error: Exception) -> str:
    """Say that the model fails, where, and on which inputs.

    In a dtype that it was cast to, in which operator, too: that is then what lacks it.
    """
    operator = ""
    if built.dtype != "float32":
        operator = failing_operator(lambda: run(built, key, built.model, *built.clone_inputs(key))) or ""
    inside = f" in {built.dtype}" if built.dtype != "float32" else ""
    lines = [f"the model itself fails{inside}{operator and f', operator {operator}'}: {type(error).__name__}: {error}"]
    lines += [places for places in (places_of(error),) if places]
    lines += [f"  in {module}" for module in (_module_of(built.model, error),) if module]
    return "\n".join([*lines, f"  called with {_inputs(built, key)}"])


def _module_of(model: torch.nn.Module, error: BaseException) -> str:
    """The innermost module that an exception passed through: "module 'body.0', a Linear(in_features=4, …)", or ""."""
    names = {id(module): name for name, module in model.named_modules() if name}
    trace, found = error.__traceback__, None
    while trace is not None:
        candidate = trace.tb_frame.f_locals.get("self")
        if id(candidate) in names:
            found = candidate
        trace = trace.tb_next
    return f"module {names[id(found)]!r}, a {type(found).__name__}({found.extra_repr()})" if found is not None else ""


def _inputs(built: Built, key: str) -> str:
    """The tensors of a set by name: "x float32 (2, 5)"."""
    written: dict[str, Tensor] = {}
    encode_inputs(*built.inputs[key], written)
    return ", ".join(
        f"{built.argument_name(path)} {tensor.dtype} {tuple(tensor.shape)}" for path, tensor in written.items()
    )


def _outputs(returned: Any) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    encode(returned, str, found)
    return found


def _again(built: Built, key: str, purpose: str = "run") -> dict[str, Tensor]:
    """Outputs of a further eager run; another purpose is another seed."""
    inputs = built.clone_inputs(key)
    if key in built.generated:
        inputs = guarded(inputs, seed_of(built.name, key, purpose))
    return _outputs(run(built, key, built.model, *inputs, purpose=purpose))


def _versions(model: torch.nn.Module) -> dict[str, tuple[int, int]]:
    """By name of each parameter and buffer what changes when it is written to, or replaced by another tensor."""
    state = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {name: (id(value), value._version) for name, value in state.items()}


def _views(returned: Any, call: Any) -> list[str]:
    """Paths of the outputs that share memory with an input."""
    memory = {leaf.untyped_storage().data_ptr() for leaf in tree_leaves(call) if isinstance(leaf, torch.Tensor)}
    return [path for path, value in leaves(returned) if value.numel() and value.untyped_storage().data_ptr() in memory]


def _changed(before: tuple[Any, Any], after: tuple[Any, Any]) -> list[str]:
    """Paths of the inputs that the model changed."""
    first: dict[str, Tensor] = {}
    second: dict[str, Tensor] = {}
    encode_inputs(*before, first)
    encode_inputs(*after, second)
    return [path for path, tensor in first.items() if second.get(path) != tensor]
