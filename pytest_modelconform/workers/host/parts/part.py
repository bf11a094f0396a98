"""What a part's case file calls: the part as a case."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch.export import Dim
from torch.fx import Node

from pytest_modelconform.terms import operators as own
from pytest_modelconform.terms.case import Case, Tolerance
from pytest_modelconform.terms.program import OPERATORS, SUBMODULES

from ...loop import WorkerError
from .. import large
from ..build import Built, leaf_shapes
from ..clones import clone, copied
from ..forward import signature
from ..part_case import PartCase
from . import submodules
from .cut import Cut, NotAPart, cut, flat, pairs
from .graph import NoProgram, placeholders
from .programs import Taken, taken, whole_case
from .recorded import followed

_WHY = "a part of a model"


@dataclass
class _Model:
    """What a part is made of. built: the case. inputs: what it is called with, by input set."""

    built: Built
    module: torch.nn.Module
    inputs: Mapping[str, Any]
    dynamic_shapes: Any


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """What `part_case` is asked for."""

    file: str
    relative: str
    case: str
    dtype: str
    operators: tuple[str, ...]
    outputs: tuple[str, ...]
    fixed: tuple[str, ...]
    sets: tuple[str, ...]
    way: str
    static: bool


# The last one. Case files stay imported, and hundreds of parts with their weights would fill the memory.
_last: dict[_Wanted, _Model] = {}


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
    wanted = _Wanted(
        file=file,
        relative=relative,
        case=case,
        dtype=dtype,
        operators=tuple(operators),
        outputs=tuple(outputs),
        fixed=tuple(fixed),
        sets=tuple(sets),
        way=way,
        static=static,
    )
    made = _model(wanted)
    source = made.built.case

    def given(name: str) -> Callable[[], Any]:
        return lambda: clone(_model(wanted).inputs[name])

    known = {f.name: getattr(source, f.name) for f in fields(Case)}
    known |= {
        "model": lambda: followed(copied(_model(wanted).module)),
        "inputs": {name: given(name) for name in made.inputs},
        "dynamic_shapes": made.dynamic_shapes,
        "dtypes": (made.built.dtype,),
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


def _model(wanted: _Wanted) -> _Model:
    if wanted not in _last:
        was_large = any(large.is_large(made.built.model) for made in _last.values())
        _last.clear()
        if was_large:
            gc.collect()  # graphs are in cycles: one more would be here until they are looked for
        made = _submodule(wanted) if wanted.way == SUBMODULES else _cut(wanted)
        _last[wanted] = made
    return _last[wanted]


def _cut(wanted: _Wanted) -> _Model:
    try:
        found = taken(wanted.file, wanted.relative, wanted.case, wanted.dtype, wanted.static)
    except NoProgram as none:
        raise WorkerError(str(none), "build") from none
    exporter_set = found.built.exporter_set
    names = [exporter_set, *(name for name in found.sets() if name in wanted.sets and name != exporter_set)]
    is_whole = not wanted.operators and not wanted.outputs
    try:
        if is_whole:
            part = flat(found.whole)
        else:
            part = cut(found.module, found.values(exporter_set), wanted.operators, wanted.outputs, wanted.fixed)
    except NotAPart as fault:
        raise WorkerError(f"these operators are no part of their own: {fault}", "build") from fault
    own_inputs = set(placeholders(found.whole if is_whole else found.module))
    inputs = {}
    for name in names:
        given = _inputs(found, part, own_inputs, name)
        if given is not None:
            inputs[name] = given
    shapes = _dynamic_shapes(found, part, own_inputs, inputs[exporter_set])
    return _Model(found.built, part.module, inputs, shapes)


def _inputs(found: Taken, part: Cut, own_inputs: set[Node], name: str) -> tuple[torch.Tensor, ...] | None:
    """What the part takes in an input set; None where what is a number in it is another one there."""
    if own_inputs.issuperset(part.inputs):
        values = found.inputs(name, part.inputs)
    else:
        values = found.values(name)
        by_name = {node.name: value for node, value in values.items()}
        if any(by_name.get(size) != value for size, value in part.constants.items()):
            return None
    return tuple(clone(pairs(values[node]) if node in part.paired else values[node]) for node in part.inputs)


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
            shape = own_shapes[node]
            if node in part.paired and isinstance(shape, (list, tuple)):
                shape = (*shape, Dim.STATIC)
            shapes[node.name] = shape
            continue
        # Without the last axis of what is in pairs.
        lengths = zip(node.meta["val"].shape, tensor.shape[: node.meta["val"].dim()], strict=True)
        varies = [axis for axis, (length, now) in enumerate(lengths) if not isinstance(length, int) and now > 1]
        shapes[node.name] = dict.fromkeys(varies, Dim.AUTO) or None
    return shapes if any(shapes.values()) else None


def _submodule(wanted: _Wanted) -> _Model:
    """One call of a submodule with what reaches it; the model itself where none is named."""
    built = whole_case(wanted.file, wanted.relative, wanted.case, wanted.dtype)
    others = (name for name in built.inputs if name in wanted.sets and name != built.exporter_set)
    names = [built.exporter_set, *others]
    if not wanted.operators:
        whole = {name: _whole_call(built, name) for name in names}
        return _Model(built, built.model, whole, built.case.dynamic_shapes)
    if len(wanted.operators) > 1:
        raise WorkerError("a part of a model without a program is the call of one submodule", "build")
    [called] = wanted.operators
    # How sizes vary shows in all sets.
    needed = built.inputs if built.case.dynamic_shapes else names
    calls = {name: found[0] for name in needed if (found := submodules.calls(built, name, called))}
    if built.exporter_set not in calls:
        raise WorkerError(f"the model calls no submodule {called!r}", "build")
    made = {name: submodules.alone(call) for name, call in calls.items()}
    model, first = made[built.exporter_set]
    if not first:
        raise WorkerError(f"{called} takes no tensor", "build")
    alike = {name: tensors for name, (_, tensors) in made.items() if len(tensors) == len(first)}
    inputs = {name: alike[name] for name in names if name in alike}
    return _Model(built, model, inputs, _varying(built, model, alike))


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


def _tolerance(tolerance: Tolerance) -> Tolerance:
    """A case's, without what is in the units of its own outputs."""
    return replace(tolerance, rtol=None, atol=None, cosine=None)


def _operators(given: own.Operators | None, file: str) -> own.Operators | None:
    """A case's own operators, from files that are named absolutely."""
    if given is None:
        return None
    named: dict[str, Any] = {kind: tuple(names) for kind, names in own.named(given, file).items()}
    return replace(given, **named)
