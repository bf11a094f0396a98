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
from pytest_modelconform.terms.program import OPERATORS

from ...loop import WorkerError
from ..clones import clone
from .cut import Cut, NotAPart, cut, flat
from .graph import NoProgram, placeholders
from .marked import PartCase
from .programs import Taken, taken

_WHY = "a part of a model"


def part_case(
    *,
    file: str,
    relative: str,
    case: str,
    dtype: str = "float32",
    operators: Sequence[str] = (),
    outputs: Sequence[str] = (),
    sets: Sequence[str] = (),
    way: str = OPERATORS,
) -> Case:
    """Operators of a case's model as a case, see `terms/program.py`. Raises WorkerError at stage build for none.

    file, relative, case, dtype: the case, as a worker is asked for it. sets: the input sets that it has besides the
    exporters' one, as far as the program takes them.
    """
    try:
        found = taken(file, relative, case, dtype)
    except NoProgram as none:
        raise WorkerError(str(none), "build") from none
    exporter_set = found.built.exporter_set
    names = [exporter_set, *(name for name in found.sets() if name in sets and name != exporter_set)]
    try:
        if operators or outputs:
            part = cut(found.module, found.values(exporter_set), operators, outputs)
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
    built, source = found.built, found.built.case

    def given(name: str) -> Callable[[], Any]:
        return lambda: clone(inputs[name])

    known = {f.name: getattr(source, f.name) for f in fields(Case)}
    known |= {
        "model": lambda: copy.deepcopy(part.module),
        "inputs": {name: given(name) for name in inputs},
        "dynamic_shapes": _dynamic_shapes(found, part, own_inputs, inputs[built.exporter_set]),
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
    named = own.named(given, file)
    return replace(given, **{kind: tuple(names) for kind, names in named.items()})
