"""Faults of a runtime: right artifacts whose inputs or outputs are spoilt on the way."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from pytest_modelconform.cells.answers import Run
from pytest_modelconform.compare import flatten
from pytest_modelconform.references.prepared import InputSet
from pytest_modelconform.workers.arrays import Array

from .artifact import Artifact, read_inputs
from .mutants import Faulty, Mutant, NotApplicable
from .outputs import OUTPUT_FAULTS, ChangeOutput, need

ChangeInput = Callable[[torch.Tensor], torch.Tensor]
Sets = Mapping[str, InputSet]


def _right(artifact: Artifact, entry: InputSet) -> Run:
    return artifact.run(entry, read_inputs(entry))


def _ideal(artifact: Artifact, entry: InputSet) -> Run:
    """What is compared with: the reference itself, without noise."""
    values = {}
    for path, key in flatten(entry.outputs)[1].items():
        reference = entry.references[path]
        value = (reference.eager if reference.r is None else reference.r).copy()
        if reference.codes is not None and reference.r is not None:
            # 0 there in r: NaN, infinities and what depends on rounding are eager's.
            special = np.isin(reference.codes, (1, 3, 5))
            value[special] = reference.eager[special]
        if reference.dtype.startswith("complex"):
            value = value.view(np.complex128 if value.dtype == np.float64 else np.complex64)
        values[key] = value.reshape(reference.shape)
    return entry.outputs, values


def _output_fault(change: ChangeOutput, path: str, seed: str, run: Run) -> list[Run]:
    tree, found = run
    key = flatten(tree)[1][path]
    before = np.array(found[key])
    after = change(before.copy(), random.Random(f"{seed}:{path}"))
    same = before.dtype == after.dtype and before.shape == after.shape and before.tobytes() == after.tobytes()
    need(not same)
    return [(tree, {**found, key: after})]


# -- all outputs of a run ----------------------------------------------------------------------------------------------


def _swapped(one: str, two: str, run: Run) -> list[Run]:
    tree, found = run
    keys = flatten(tree)[1]
    first, second = found[keys[one]], found[keys[two]]
    need(first.shape == second.shape and first.dtype == second.dtype and first.tobytes() != second.tobytes())
    return [(tree, {**found, keys[one]: second, keys[two]: first})]


def _renamed(tree: Any) -> Any:
    """The tree with the first name of each mapping changed."""
    kind, content = next(iter(tree.items()))
    if kind == "dict" and content:
        (name, item), *rest = content
        return {"dict": [[f"{name}_0", item], *rest]}
    if kind in ("list", "tuple"):
        return {kind: [_renamed(item) for item in content]}
    return tree


def _other_tree(make: Callable[[Any], Any], run: Run) -> list[Run]:
    tree = make(run[0])
    need(tree != run[0])
    return [(tree, run[1])]


def _without_last(tree: Any) -> Any:
    kind, content = next(iter(tree.items()))
    return {kind: content[:-1]} if kind in ("list", "tuple", "dict") and len(content) > 1 else tree


TREE_FAULTS: dict[str, Callable[[Any], Any]] = {
    "output renamed": _renamed,
    "last output missing": _without_last,
    "outputs wrapped in a list": lambda tree: {"list": [tree]},
}


def _stale(sets: Sets, answer: Callable[[InputSet], Run], entry: InputSet) -> list[Run]:
    """Right at first, then what the run before left in memory: another set's result, as far as it reaches."""
    right = answer(entry)
    return [right, _memory_of(_another(sets, entry), right, answer)]


def _always_first(sets: Sets, answer: Callable[[InputSet], Run], entry: InputSet) -> list[Run]:
    """The first set's result for every set whose outputs have the same shapes."""
    first = next(iter(sets.values()))
    right = answer(entry)
    same = {path: r.shape for path, r in first.references.items()} == {p: r.shape for p, r in entry.references.items()}
    return [_memory_of(first, right, answer) if same else right]


def _another(sets: Sets, entry: InputSet) -> InputSet:
    others = [other for other in sets.values() if other.name != entry.name]
    need(bool(others))
    return others[0]


def _memory_of(other: InputSet, right: Run, answer: Callable[[InputSet], Run]) -> Run:
    tree, found = right
    left_tree, left = answer(other)
    keys, left_keys = flatten(tree)[1], flatten(left_tree)[1]
    need(set(keys) == set(left_keys))
    return tree, {key: np.resize(left[left_keys[path]], found[key].shape) for path, key in keys.items()}


# -- inputs ------------------------------------------------------------------------------------------------------------


def _read_in_order(value: torch.Tensor) -> torch.Tensor:
    """Its bytes as they lie in memory, taken for row-major; a row-major one taken for column-major."""
    if value.dim() < 2:
        return value
    if value.is_contiguous():
        return value.reshape(value.shape[::-1]).permute(*reversed(range(value.dim()))).contiguous()
    order = sorted(range(value.dim()), key=lambda axis: -value.stride()[axis])
    return value.permute(order).reshape(value.shape)


def _rounded(dtype: torch.dtype) -> ChangeInput:
    return lambda value: value.to(dtype).to(value.dtype) if value.is_floating_point() else value


INPUT_FAULTS: dict[str, ChangeInput] = {
    "input ignored (zeros)": torch.zeros_like,
    "input's strides ignored": _read_in_order,
    "input's rows reversed": lambda value: value.flip(0) if value.dim() else value,
    "input in float16": _rounded(torch.float16),
    "input in bfloat16": _rounded(torch.bfloat16),
}


def _input_fault(
    change: Callable[[InputSet, torch.Tensor], torch.Tensor],
    path: str,
    run: Callable[[InputSet, dict[str, torch.Tensor]], Run],
    entry: InputSet,
) -> list[Run]:
    inputs = read_inputs(entry)
    need(path in inputs)
    return [run(entry, {**inputs, path: change(entry, inputs[path])})]


def _exporters(sets: Sets, path: str) -> Callable[[InputSet, torch.Tensor], torch.Tensor]:
    """The exporters' tensor, where shapes allow it: a baked-in input."""
    first = read_inputs(next(iter(sets.values())))

    def change(entry: InputSet, value: torch.Tensor) -> torch.Tensor:
        return first[path] if path in first and first[path].shape == value.shape else value

    return change


# -- all of them -------------------------------------------------------------------------------------------------------


def mutants(artifact: Artifact, sets: Sets, seed: str) -> Iterator[Mutant]:
    """Every fault for every output and input of an artifact."""
    first = next(iter(sets.values()))
    paths = list(flatten(first.outputs)[1])

    def on_runs(kind: str, where: str, change: Callable[[Run], list[Run]]) -> Mutant:
        def answer(source: Callable[[Artifact, InputSet], Run], entry: InputSet) -> list[Run]:
            right = source(artifact, entry)
            try:
                return change(right)
            except (NotApplicable, KeyError):
                return [right]  # in another set it may apply

        faulty = Faulty(partial(answer, _right), partial(answer, _ideal))
        return Mutant(kind, where, artifact.format, artifact.runtime, lambda: _if_changed(artifact, sets, faulty))

    for path in paths:
        for kind, change in OUTPUT_FAULTS.items():
            yield on_runs(kind, f"output{path}", partial(_output_fault, change, path, seed))
    for kind, make in TREE_FAULTS.items():
        yield on_runs(kind, "outputs", partial(_other_tree, make))
    for i, one in enumerate(paths):
        for two in paths[i + 1 :]:
            yield on_runs("outputs swapped", f"output{one}, output{two}", partial(_swapped, one, two))
    for kind, history in {"stale second run": _stale, "first set's result for all": _always_first}.items():
        faulty = Faulty(
            partial(history, sets, partial(_right, artifact)), partial(history, sets, partial(_ideal, artifact))
        )
        yield Mutant(kind, "outputs", artifact.format, artifact.runtime, partial(_if_changed, artifact, sets, faulty))
    for path in first.shapes:
        changes = {kind: (lambda entry, value, change=change: change(value)) for kind, change in INPUT_FAULTS.items()}
        for kind, on_input in {**changes, "input baked in": _exporters(sets, path)}.items():
            faulty = Faulty(
                partial(_input_fault, on_input, path, artifact.run),
                partial(_input_fault, on_input, path, artifact.exact),
            )
            yield Mutant(
                kind, path, artifact.format, artifact.runtime, partial(_if_inputs_changed, on_input, path, sets, faulty)
            )


def _if_changed(artifact: Artifact, sets: Sets, faulty: Faulty) -> Faulty:
    """The mutant, unless it answers as the artifact does. Raises NotApplicable."""
    for entry in sets.values():
        right = _right(artifact, entry)
        if any(tree != right[0] or _bits(found) != _bits(right[1]) for tree, found in faulty.runs(entry)):
            return faulty
    raise NotApplicable


def _bits(found: Mapping[str, Array]) -> list[Any]:
    return [(key, value.dtype.name, value.shape, value.tobytes()) for key, value in found.items()]


def _if_inputs_changed(
    change: Callable[[InputSet, torch.Tensor], torch.Tensor], path: str, sets: Sets, faulty: Faulty
) -> Faulty:
    """The mutant, unless the changed inputs are the right ones. Raises NotApplicable."""
    for entry in sets.values():
        inputs = read_inputs(entry)
        if path in inputs and not torch.equal(change(entry, inputs[path]), inputs[path]):
            return faulty
    raise NotApplicable
