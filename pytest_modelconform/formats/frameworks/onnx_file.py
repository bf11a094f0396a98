"""A case that is an ONNX file, in the format `onnx`: the file as it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base import Signature, flat_signature

if TYPE_CHECKING:
    from ...workers.host.build import Built


def export(built: Built, folder: Path) -> Signature:
    """Save the model, external weights and all, in one file."""
    import onnx

    adapter: Any = built.model.adapter
    onnx.save(adapter.model, folder / "model.onnx")
    return flat_signature("model.onnx", built, adapter.inputs, adapter.outputs, argument_names(built))


def argument_names(built: Built) -> list[str]:
    """The graph's name for each tensor of the exporters' input set, in the order of the leaves."""
    adapter: Any = built.model.adapter
    names: list[str] = list(adapter.inputs)
    found = []
    for leaf in built.input_leaves:
        kind, place = leaf["path"].removeprefix("/").split("/")[:2]
        found.append(names[int(place)] if kind == "args" else place)
    return found
