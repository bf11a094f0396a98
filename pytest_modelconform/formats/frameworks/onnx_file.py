"""A case that is an ONNX file, in the format `onnx`: the file as it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import external_data
from ..base import Signature, flat_signature

if TYPE_CHECKING:
    from ...workers.host.build import Built


def export(built: Built, folder: Path) -> Signature:
    """Save the model, in one file, or with its weights beside it where they are large."""
    import onnx

    adapter: Any = built.model.adapter
    path = folder / "model.onnx"
    if sum(len(tensor.raw_data) for tensor in adapter.model.graph.initializer) < external_data.LEAST:
        onnx.save(adapter.model, path)
    else:
        onnx.save(adapter.model, path, save_as_external_data=True, location=external_data.FILE)
        # Saving has taken the weights out of the model.
        onnx.load_external_data_for_model(adapter.model, str(folder))
    signature = flat_signature("model.onnx", built, adapter.inputs, adapter.outputs, argument_names(built))
    return signature | external_data.described(folder)


def argument_names(built: Built) -> list[str]:
    """The graph's name for each tensor of the exporters' input set, in the order of the leaves."""
    adapter: Any = built.model.adapter
    names: list[str] = list(adapter.inputs)
    found = []
    for leaf in built.input_leaves:
        kind, place = leaf["path"].removeprefix("/").split("/")[:2]
        found.append(names[int(place)] if kind == "args" else place)
    return found
