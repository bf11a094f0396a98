"""What a case declares of its sizes, held against its own inputs: faults are the case's, no exporter's."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._pytree import SUPPORTED_NODES

from ..loop import WorkerError
from .generate import Call, dimension, is_dynamic, name_of


@dataclass(frozen=True)
class _Size:
    """A dimension of a tensor that `dynamic_shapes` has an entry for. argument: as messages name the tensor."""

    argument: str
    axis: int
    entry: Any
    length: int


def check(name: str, signature: inspect.Signature, spec: Any, inputs: Mapping[str, Call]) -> None:
    """Hold the sizes of every input set against `dynamic_shapes`.

    Raises WorkerError naming case, set, argument, size and what to do for one outside the bounds of its `Dim`, one that
    isn't of a derived form, a name that stands for two sizes, and an entry for a dimension that there is not.
    """
    for key, call in inputs.items():
        lengths: dict[str, _Size] = {}
        for size in _sizes(signature, spec, call):
            if fault := _fault(key, size, lengths):
                raise WorkerError(f"case {name!r}, field 'dynamic_shapes': {fault}", "build")


def fault_of_spec(spec: Any, top: bool = True) -> str:
    """What no `dynamic_shapes` may be, whatever the inputs, and the remedy; "" for what may be one."""
    if top and spec is None:
        return ""
    if isinstance(spec, dict):
        return next(filter(None, (fault_of_spec(entry, top=False) for entry in spec.values())), "")
    if isinstance(spec, (list, tuple)):
        return next(filter(None, (fault_of_spec(entry, top=False) for entry in spec)), "")
    if top:
        return f"give a dict by argument, like {{'x': {{0: 'batch'}}}}, not a value of type {type(spec).__name__}"
    if isinstance(spec, str) and not spec.isidentifier():
        return f"{spec!r} can't be a dimension's name: use letters, digits and '_', like 'batch'"
    # Dim and its hints, Dim.AUTO among them, are torch's.
    known = spec is None or isinstance(spec, (str, int)) or type(spec).__module__.startswith("torch.")
    known = known or (isinstance(spec, type) and spec.__module__.startswith("torch."))
    return "" if known else f"a value of type {type(spec).__name__} is not a dimension: give a name, a Dim, or None"


def not_given(signature: inspect.Signature, spec: Any, key: str, call: Call) -> str:
    """What `dynamic_shapes` has an entry for and a set has not, in words; "" where the set has all."""
    args, kwargs = call
    given = {**signature.bind(*args, **kwargs).arguments, **kwargs}
    gives = f"input set {key!r} gives {', '.join(given) or 'no arguments'}"
    if isinstance(spec, (list, tuple)):
        entries, tensors = len(spec), len(args) + len(kwargs)
        return f"has {entries} entries, and input set {key!r} gives {tensors} arguments" if entries > tensors else ""
    if not isinstance(spec, dict):
        return ""
    absent = [key for key in spec if key not in given]
    if absent:
        return f"names the argument {absent[0]!r}, and {gives}"
    empty = [key for key, entry in spec.items() if given[key] is None and entry]
    return f"has sizes for {empty[0]!r}, for which input set {key!r} gives None" if empty else ""


def check_given(name: str, signature: inspect.Signature, spec: Any, inputs: Mapping[str, Call]) -> list[str]:
    """The sets that give every argument that `dynamic_shapes` names: one of them is exported.

    Raises WorkerError where none does. The others are right to leave out what is optional.
    """
    lacking = {key: not_given(signature, spec, key, call) for key, call in inputs.items()}
    found = [key for key, fault in lacking.items() if not fault]
    if not found:
        what = next(iter(lacking.values()))
        raise WorkerError(
            f"case {name!r}, field 'dynamic_shapes': {what}. Leave the entry out, or give the argument in an input "
            "set: exporters then see that set",
            "build",
        )
    return found


def _sizes(signature: inspect.Signature, spec: Any, call: Call) -> Iterator[_Size]:
    """The sizes that dynamic_shapes has an entry for: by the names of forward's parameters, or in the call's order."""
    args, kwargs = call
    parameters = list(signature.parameters.values())
    if isinstance(spec, dict):
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            if signature.parameters[name].kind != inspect.Parameter.VAR_KEYWORD:
                yield from _within(name, value, spec.get(name))
        variable = next((p.name for p in parameters if p.kind == inspect.Parameter.VAR_KEYWORD), "")
        for name in kwargs.keys() - signature.parameters.keys():
            nested = spec.get(variable)
            yield from _within(name, kwargs[name], spec.get(name) or (nested or {}).get(name))
    elif isinstance(spec, (list, tuple)):
        names = [p.name for p in parameters]
        for place, value in enumerate(args):
            positional = place < len(parameters) and parameters[place].kind != inspect.Parameter.VAR_POSITIONAL
            argument = names[place] if positional else f"argument {place}"
            yield from _within(argument, value, spec[place] if place < len(spec) else None)
        for name, value in kwargs.items():
            place = names.index(name) if name in names else len(spec)
            yield from _within(name, value, spec[place] if place < len(spec) else None)


def _within(argument: str, value: Any, spec: Any) -> Iterator[_Size]:
    """The entries for an argument's tensors."""
    if isinstance(value, torch.Tensor):
        entries = spec.items() if isinstance(spec, dict) else enumerate(spec) if isinstance(spec, (list, tuple)) else ()
        for axis, entry in entries:
            there = isinstance(axis, int) and 0 <= axis < value.dim()
            yield _Size(argument, axis, entry, value.shape[axis] if there else -1)
    else:
        is_object = not isinstance(value, (Mapping, list, tuple))
        for key, part, inner in inside(value, spec):
            yield from _within(f"{argument}.{key}" if is_object else f"{argument}[{key!r}]", part, inner)


def inside(value: Any, spec: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Key, value and entry of dynamic_shapes of each part of a container; nothing of what is none.

    Mappings and dataclasses of other classes are containers where they are registered, as exports need them to be.
    torch.export takes a list for a dataclass, of what isn't None.
    """
    if isinstance(value, dict) or (isinstance(value, Mapping) and type(value) in SUPPORTED_NODES):
        for key, part in value.items():
            yield key, part, spec.get(key) if isinstance(spec, dict) else None
        return
    parts: list[tuple[Any, Any]] = list(enumerate(value)) if isinstance(value, (list, tuple)) else []
    if dataclasses.is_dataclass(value) and type(value) in SUPPORTED_NODES:
        fields = [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
        parts = [(name, part) for name, part in fields if part is not None]
    for place, (key, part) in enumerate(parts):
        yield key, part, spec[place] if isinstance(spec, (list, tuple)) and place < len(spec) else None


def _fault(key: str, size: _Size, lengths: dict[str, _Size]) -> str:
    """What is wrong with a size, and the remedy; "" if nothing is. lengths: what named sizes are so far in the set."""
    if size.length < 0:
        return (
            f"has an entry for dimension {size.axis} of {size.argument}, which doesn't have that many in input set "
            f"{key!r}: the first dimension is 0"
        )
    gives = f"dimension {size.axis} of {size.argument} is {size.length} in input set {key!r}"
    if not is_dynamic(size.entry):
        wrong = isinstance(size.entry, int) and size.entry != size.length
        return f"{gives}, and {size.entry} here: change the inputs, or the entry" if wrong else ""
    declared = dimension(size.entry, name_of(size.entry, size.axis))
    root = declared.root_of(size.length)
    written = name_of(size.entry, size.axis)
    if root is None:
        return f"{gives}, which isn't {written} for any whole number {declared.root}: change the inputs, or the Dim"
    for bound, limit, fits in (
        ("min", declared.least, root >= (declared.least or 0)),
        ("max", declared.most, declared.most is None or root <= declared.most),
    ):
        if not fits:
            of = f" ({written}, with {declared.root} = {root})" if written != declared.root else ""
            return f"{gives}{of}, outside Dim({declared.root!r}, {bound}={limit}): change the inputs, or the bound"
    if isinstance(size.entry, str) or hasattr(size.entry, "__name__"):
        other = lengths.setdefault(written, size)
        if other.length != size.length:
            return (
                f"{written!r} is {other.length} in {other.argument} and {size.length} in {size.argument} (input set "
                f"{key!r}; dimensions {other.axis} and {size.axis}). One name stands for one size: give the second "
                "dimension another name, or both inputs the same size"
            )
    return ""
