"""A case that is an ONNX file, back in PyTorch, in the format `export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base import ExportMismatch, Signature, tree_signature

if TYPE_CHECKING:
    import onnx
    import torch

    from ...workers.host.build import Built


def export(built: Built, folder: Path) -> Signature:
    """`onnx2torch.convert`, then `torch.export.export`."""
    import torch

    from ...workers.host.operators import of_program

    module, args = converted(built)
    with torch.no_grad():
        program = torch.export.export(module, args, dynamic_shapes=dynamic_shapes(built))
    torch.export.save(program, folder / "model.pt2")
    return tree_signature("model.pt2", of_program(program), built.input_leaves)


def converted(built: Built) -> tuple[torch.nn.Module, tuple[Any, ...]]:
    """The graph as a module, and the inputs of the exporters' input set. Raises ExportMismatch for named ones."""
    import onnx2torch

    args, kwargs = built.clone_inputs()
    if kwargs:
        raise ExportMismatch("a module made from ONNX is called by position: give the inputs as a tuple")
    adapter: Any = built.model.adapter
    try:
        module: torch.nn.Module = onnx2torch.convert(constants_as_weights(adapter.model))
    except KeyError as error:
        message = f"onnx2torch looks for {error} among the graph's initializers, and it isn't there"
        raise ExportMismatch(message) from error
    return module.eval(), args


def constants_as_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a model with its Constant nodes as initializers, where onnx2torch looks for weights.

    PaddlePaddle's files have theirs in such nodes. What isn't a tensor, and what the graph returns, stays as it is.
    """
    import onnx

    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    returned = {value.name for value in changed.graph.output}
    left = []
    for node in changed.graph.node:
        tensor = next((a.t for a in node.attribute if a.name == "value" and a.HasField("t")), None)
        if node.op_type != "Constant" or tensor is None or node.output[0] in returned:
            left.append(node)
            continue
        changed.graph.initializer.add().CopyFrom(tensor)
        changed.graph.initializer[-1].name = node.output[0]
    del changed.graph.node[:]
    changed.graph.node.extend(left)
    return changed


def dynamic_shapes(built: Built) -> tuple[Any, ...]:
    """What torch.export is told of the dynamic dimensions. The converter's modules take `*args`, which count as one."""
    from torch.export import Dim
    from torch.utils._pytree import tree_leaves

    # The case's own: one may have bounds, or follow from another (`32 * Dim("height")`), which a name doesn't tell.
    dims = {dim.__name__: dim for dim in tree_leaves(built.dynamic_shapes) if hasattr(dim, "__name__")}

    def named(shape: list[Any]) -> dict[int, Any]:
        # Dim.AUTO has no name of its own.
        found = {axis: length for axis, length in enumerate(shape) if isinstance(length, str)}
        return {axis: dims.get(name, Dim.AUTO) for axis, name in found.items()}

    return tuple(named(leaf["shape"]) for leaf in built.input_leaves)
