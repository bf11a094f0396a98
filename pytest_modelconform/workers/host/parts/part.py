"""What a part's case file calls: the part as a case."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from torch.export import Dim
from torch.fx import Node

from pytest_modelconform.terms import operators as own
from pytest_modelconform.terms.case import Case, Tolerance
from pytest_modelconform.terms.program import OPERATORS, SUBMODULES

from ...loop import WorkerError
from ..build import Built, leaf_shapes
from ..clones import clone
from ..forward import signature
from ..part_case import PartCase
from . import submodules
from .cut import Cut, NotAPart, cut, flat
from .graph import NoProgram, placeholders
from .programs import Taken, taken, whole_case

_WHY = "a part of a model"


def part_case(
    *,
    file: str,
    relative: str,
    case: str,
    dtype: str = "float32",
    operators: Sequence[str] = (),
    outputs: Sequence[str] = (),
    fixed: Sequence[str] = (),
    sets: Sequence[str] = (),
    way: str = OPERATORS,
    static: bool = False,
) -> Case:
    """Operators of a case's model as a case, see `terms/program.py`. Raises WorkerError at stage build for none.

    file, relative, case, dtype: the case, as a worker is asked for it. sets: the input sets that it has besides the
    exporters' one, as far as the program takes them. static: see `programs.taken`.
    """
    if way == SUBMODULES:
        return _submodule(whole_case(file, relative, case, dtype), file, operators, sets)
    try:
        found = taken(file, relative, case, dtype, static)
    except NoProgram as none:
        raise WorkerError(str(none), "build") from none
    exporter_set = found.built.exporter_set
    names = [exporter_set, *(name for name in found.sets() if name in sets and name != exporter_set)]
    try:
        if operators or outputs:
            part = cut(found.module, found.values(exporter_set), operators, outputs, fixed)
        else:
            part = flat(found.whole)
    except NotAPart as fault:
        raise WorkerError(f"these operators are no part of their own: {fault}", "build") from fault
    own_inputs = set(placeholders(found.module if operators or outputs else found.whole))
    inputs = {}
    for name in names:
        given = _inputs(found, part, own_inputs, name)
        if given is not None:
            inputs[name] = given
    return _case(found, file, part, inputs, own_inputs)


def _inputs(found: Taken, part: Cut, own_inputs: set[Node], name: str) -> tuple[torch.Tensor, ...] | None:
    """What the part takes in an input set; None where what is a number in it is another one there."""
    if own_inputs.issuperset(part.inputs):
        values = found.inputs(name, part.inputs)
    else:
        values = found.values(name)
        by_name = {node.name: value for node, value in values.items()}
        if any(by_name.get(size) != value for size, value in part.constants.items()):
            return None
    return tuple(clone(values[node]) for node in part.inputs)


def _dynamic_shapes(found: Taken, part: Cut, own_inputs: set[Node], inputs: Sequence[torch.Tensor]) -> Any:
    """What varies: as the case says of its own inputs, and of others where the program has a symbol; None for nothing.

    PyTorch finds out by itself how the sizes of others belong together. A length of 0 or 1 is taken for a constant.
    """
    if found.built.dynamic_shapes is None:
        return None
    own_shapes = found.shapes(part.inputs)
    shapes: dict[str, Any] = {}
    for node, tensor in zip(part.inputs, inputs, strict=True):
        if node in own_inputs:
            shapes[node.name] = own_shapes[node]
            continue
        lengths = zip(node.meta["val"].shape, tensor.shape, strict=True)
        varies = [axis for axis, (length, now) in enumerate(lengths) if not isinstance(length, int) and now > 1]
        shapes[node.name] = dict.fromkeys(varies, Dim.AUTO) or None
    return shapes if any(shapes.values()) else None


def _case(found: Taken, file: str, part: Cut, inputs: dict[str, Any], own_inputs: set[Node]) -> PartCase:
    shapes = _dynamic_shapes(found, part, own_inputs, inputs[found.built.exporter_set])
    return _made(found.built, file, part.module, inputs, shapes)


def _submodule(built: Built, file: str, operators: Sequence[str], sets: Sequence[str]) -> PartCase:
    """One call of a submodule with what reaches it; the model itself where none is named."""
    names = [built.exporter_set, *(name for name in built.inputs if name in sets and name != built.exporter_set)]
    if not operators:
        whole = {name: _whole_call(built, name) for name in names}
        return _made(built, file, built.model, whole, built.case.dynamic_shapes)
    if len(operators) > 1:
        raise WorkerError("a part of a model without a program is the call of one submodule", "build")
    # How sizes vary shows in all sets.
    needed = built.inputs if built.case.dynamic_shapes else names
    calls = {name: found[0] for name in needed if (found := submodules.calls(built, name, operators[0]))}
    if built.exporter_set not in calls:
        raise WorkerError(f"the model calls no submodule {operators[0]!r}", "build")
    made = {name: submodules.alone(call) for name, call in calls.items()}
    model, first = made[built.exporter_set]
    if not first:
        raise WorkerError(f"{operators[0]} takes no tensor", "build")
    alike = {name: tensors for name, (_, tensors) in made.items() if len(tensors) == len(first)}
    inputs = {name: alike[name] for name in names if name in alike}
    return _made(built, file, model, inputs, _varying(built, model, alike))


def _whole_call(built: Built, name: str) -> Any:
    args, kwargs = built.inputs[name]
    return built.by_name(args, kwargs) if kwargs else args


def _varying(built: Built, model: torch.nn.Module, inputs: dict[str, tuple[torch.Tensor, ...]]) -> Any:
    """The dynamic dimensions of a submodule's tensors: those that differ where the case's own do; None for none."""
    if not built.case.dynamic_shapes:
        return None
    names = [built.exporter_set, *(name for name in inputs if name != built.exporter_set)]
    tensors = [[tuple(tensor.shape) for tensor in inputs[name]] for name in names]
    if any(list(map(len, shapes)) != list(map(len, tensors[0])) for shapes in tensors):
        return None
    own: dict[tuple[int, ...], str] = {}
    leaves = {
        name: leaf_shapes(built.name, name, built.model, built.case.dynamic_shapes, *built.inputs[name])
        for name in names
    }
    for i, leaf in enumerate(leaves[built.exporter_set]):
        for axis, length in enumerate(leaf["shape"]):
            if isinstance(length, str) and all(i < len(leaves[name]) for name in names):
                own[tuple(leaves[name][i]["actual"][axis] for name in names)] = length
    found = submodules.varying(tensors, own)
    if not any(found):
        return None
    parameters = list(signature(model).parameters)
    return {parameter: entry or None for parameter, entry in zip(parameters, found, strict=False)}


def _made(built: Built, file: str, model: torch.nn.Module, inputs: dict[str, Any], dynamic_shapes: Any) -> PartCase:
    source = built.case

    def given(name: str) -> Callable[[], Any]:
        return lambda: clone(inputs[name])

    known = {f.name: getattr(source, f.name) for f in fields(Case)}
    known |= {
        "model": lambda: copy.deepcopy(model),
        "inputs": {name: given(name) for name in inputs},
        "dynamic_shapes": dynamic_shapes,
        "dtypes": (built.dtype,),
        "tolerance": _tolerance(source.tolerance),
        "tolerances": {name: _tolerance(tolerance) for name, tolerance in source.tolerances.items()},
        "blind_ok": _WHY,
        "fixed_inputs": _WHY,
        "cpp": None,
        "twins": {},
        "train": None,
        "sequence": None,
        "files": (),
        "operators": _operators(source.operators, file),
    }
    return PartCase(**known)


def _tolerance(tolerance: Tolerance) -> Tolerance:
    """A case's, without what is in the units of its own outputs."""
    return replace(tolerance, rtol=None, atol=None, cosine=None)


def _operators(given: own.Operators | None, file: str) -> own.Operators | None:
    """A case's own operators, from files that are named absolutely."""
    if given is None:
        return None
    named: dict[str, Any] = {kind: tuple(names) for kind, names in own.named(given, file).items()}
    return replace(given, **named)
