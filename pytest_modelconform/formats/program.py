"""What the formats share that begin with `torch.export`: the case's ExportedProgram, and the names in its graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import Signature

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from ..workers.host.build import Built


def exported(built: Built, bounded: bool = False) -> ExportedProgram:
    """The case's program, of the exporters' input set; with all of its dynamic dimensions bounded if wanted."""
    import torch

    args, kwargs = built.clone_inputs()
    shapes = with_bounds(built) if bounded else built.dynamic_shapes
    with torch.no_grad():
        return torch.export.export(built.model, args, kwargs, dynamic_shapes=shapes)


def input_names(program: ExportedProgram) -> list[str]:
    """The graph's names of the tensors that a call brings, in the order of the flattened call."""
    from torch.export.graph_signature import InputKind, TensorArgument

    return [
        spec.arg.name
        for spec in program.graph_signature.input_specs
        if spec.kind == InputKind.USER_INPUT and isinstance(spec.arg, TensorArgument)
    ]


def call_of(program: ExportedProgram) -> dict[str, list[Any]]:
    """How a graph is called that takes and returns the program's flattened trees, constants and all.

    `call`: for each argument its name where it is a tensor, else its value. `returns`: which of the results are tensors.
    """
    from torch.export.graph_signature import InputKind, OutputKind, TensorArgument

    given = [spec.arg for spec in program.graph_signature.input_specs if spec.kind == InputKind.USER_INPUT]
    returned = [spec.arg for spec in program.graph_signature.output_specs if spec.kind == OutputKind.USER_OUTPUT]
    call = [{"name": arg.name} if isinstance(arg, TensorArgument) else {"value": arg.value} for arg in given]
    return {"call": call, "returns": [i for i, arg in enumerate(returned) if isinstance(arg, TensorArgument)]}


def with_bounds(built: Built) -> Any:
    """The case's dynamic shapes, with an upper bound for every dimension that has none.

    For runtimes that plan their memory ahead. The bound is one more than the longest that any of the input sets has:
    what a user would have to choose by hand.
    """
    from torch.export import Dim

    from ..workers.host.build import leaf_shapes

    longest: dict[str, int] = {}
    for key, (args, kwargs) in built.inputs.items():
        for leaf in leaf_shapes(built.name, key, built.model, built.case.dynamic_shapes, args, kwargs):
            for name, length in zip(leaf["shape"], leaf["actual"], strict=True):
                if isinstance(name, str):
                    longest[name] = max(longest.get(name, 0), length)
    made: dict[str, Any] = {}

    def walk(spec: Any) -> Any:
        if isinstance(spec, Dim):
            # `2 * batch` is the function of another one.
            return spec.fn(with_bound(spec.root)) if hasattr(spec, "root") else with_bound(spec)
        if isinstance(spec, dict):
            return {key: walk(value) for key, value in spec.items()}
        if isinstance(spec, (list, tuple)):
            return type(spec)(walk(value) for value in spec)
        return spec

    def with_bound(dim: Any) -> Any:
        name = dim.__name__
        if name not in longest or dim.max < 2**31:
            return dim
        return made.setdefault(name, Dim(name, min=dim.min, max=longest[name] + 1))

    return walk(built.dynamic_shapes)


def with_static_shapes(signature: Signature, built: Built, reason: str) -> Signature:
    """The signature of an artifact whose shapes are those of the exporters' input set, since it can't be otherwise.

    reason: why; the cell says so.
    """
    actual = {leaf["path"]: leaf["actual"] for leaf in built.input_leaves}
    inputs = [{**value, "shape": actual[value["path"]]} for value in signature["inputs"]]
    return {**signature, "inputs": inputs, "static": reason}
