"""What both have in common."""

from __future__ import annotations

from typing import Any

import torch
from executorch.exir import to_edge_transform_and_lower

from .tensor_files import HERE


def bounded(spec: Any, longest: dict[str, int], made: dict[str, Any]) -> Any:
    """Memory is planned ahead: every dynamic dimension needs an upper bound."""
    if isinstance(spec, torch.export.Dim):
        dim: Any = spec
        if getattr(dim, "root", None) is not None:
            return dim.fn(bounded(dim.root, longest, made))  # 2 * batch
        name = dim.__name__
        if name not in longest or dim.max < 2**31:
            return dim
        return made.setdefault(name, torch.export.Dim(name, min=dim.min, max=longest[name] + 1))
    if isinstance(spec, dict):
        return {key: bounded(value, longest, made) for key, value in spec.items()}
    if isinstance(spec, (list, tuple)):
        return type(spec)(bounded(value, longest, made) for value in spec)
    return spec


def lower(
    model: Any, args: Any, kwargs: Any, dynamic_shapes: Any, facts: dict[str, Any], partitioners: list[Any]
) -> None:
    with torch.no_grad():
        shapes = bounded(dynamic_shapes, facts["longest"], {})
        program = torch.export.export(model, args, kwargs, dynamic_shapes=shapes)
    manager = to_edge_transform_and_lower(program, partitioner=partitioners).to_executorch()
    with (HERE / "model.pte").open("wb") as file:
        manager.write_to_file(file)
