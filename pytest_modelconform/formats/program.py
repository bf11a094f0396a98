"""What the formats share that begin with `torch.export`: the case's ExportedProgram, and the names in its graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .base import Signature
from .scripted import module_for_export

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from ..workers.host.build import Built

# `Format.EXPORT_OPTIONS` of those that begin with it.
EXPORT_OPTIONS: Mapping[str, Sequence[str]] = {"torch.export.export": ("mod", "args", "kwargs", "dynamic_shapes")}


def exported(built: Built) -> ExportedProgram:
    """The case's program, with its dynamic shapes. Raises whatever torch.export raises."""
    return exported_with(built, built.dynamic_shapes)


def exported_with(built: Built, shapes: Any) -> ExportedProgram:
    """The program of the exporters' input set with these dynamic shapes; None for static ones."""
    import torch

    args, kwargs = built.clone_inputs()
    given = built.options.get("torch.export.export", {})
    with torch.no_grad():
        return torch.export.export(module_for_export(built), args, kwargs, dynamic_shapes=shapes, **given)


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

    `call`: for each argument its name where it is a tensor, else its value. `returns`: which results are tensors.
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
            root = getattr(spec, "root", None)
            # `2 * batch` is a function of another one.
            return with_bound(spec) if root is None else getattr(spec, "fn")(with_bound(root))  # noqa: B009 (not public)
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


def dynamic_or_static(built: Built, convert: Callable[[Any], Signature]) -> Signature:
    """What `convert` makes of the case's dynamic shapes, or of none (None) where it can't; the cell then says why.

    What torch.export itself refuses is an error here as it is in format `export`: only what a converter lacks makes
    shapes static.
    """
    if built.dynamic_shapes is None:
        return convert(None)
    exported(built)
    try:
        return convert(built.dynamic_shapes)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return with_static_shapes(convert(None), built, reason)


def with_static_shapes(signature: Signature, built: Built, reason: str) -> Signature:
    """The signature of an artifact that has the shapes of the exporters' input set, since it can't have others."""
    actual = {leaf["path"]: leaf["actual"] for leaf in built.input_leaves}
    inputs = [{**value, "shape": actual[value["path"]]} for value in signature["inputs"]]
    return {**signature, "inputs": inputs, "static": reason}


def output_values(program: ExportedProgram) -> list[Any]:
    """The tensors that the program returns, as it was traced: they have dtype and shape, and no numbers."""
    from torch.export.graph_signature import OutputKind, TensorArgument

    nodes = {node.name: node for node in program.graph.nodes}
    return [
        nodes[spec.arg.name].meta["val"]
        for spec in program.graph_signature.output_specs
        if spec.kind == OutputKind.USER_OUTPUT and isinstance(spec.arg, TensorArgument)
    ]
