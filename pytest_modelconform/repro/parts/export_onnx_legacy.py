"""torch.onnx.export(..., dynamo=False)."""

from __future__ import annotations

import inspect
from typing import Any

import torch

from .tensor_files import HERE


def export(model: Any, args: Any, kwargs: Any, dynamic_shapes: Any, facts: dict[str, Any]) -> None:
    parameters = list(inspect.signature(model.forward).parameters)
    names = []
    for leaf in facts["inputs"]:
        kind, first, *rest = leaf["path"].removeprefix("/").split("/")
        if kind == "args":
            first = parameters[int(first)] if int(first) < len(parameters) else f"input_{first}"
        names.append("_".join([first, *rest]))
    axes = {
        name: {axis: length for axis, length in enumerate(leaf["shape"]) if isinstance(length, str)}
        for name, leaf in zip(names, facts["inputs"], strict=True)
    }
    # The fused path of nn.TransformerEncoderLayer is an operator that this exporter doesn't know.
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.no_grad():
        torch.onnx.export(
            model,
            args,
            str(HERE / "model.onnx"),
            kwargs=kwargs or None,
            dynamo=False,
            input_names=names,
            output_names=[f"output{path}".replace("/", "_") for path in facts["outputs"]],
            dynamic_axes={name: dynamic for name, dynamic in axes.items() if dynamic},
            **facts["options"],
        )
