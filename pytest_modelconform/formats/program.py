"""What the formats share that begin with `torch.export`: the case's ExportedProgram, and the names in its graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from ..workers.host.build import Built


def exported(built: Built, dynamic: bool = True) -> ExportedProgram:
    """The case's program, of the exporters' input set; without its dynamic shapes where `dynamic` is false."""
    import torch

    args, kwargs = built.clone_inputs()
    shapes = built.dynamic_shapes if dynamic else None
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
