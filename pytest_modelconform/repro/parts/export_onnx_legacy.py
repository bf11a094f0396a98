"""torch.onnx.export(..., dynamo=False)."""

from __future__ import annotations

import inspect
from typing import Any

import onnx
import torch

from .around_model import around, tensors_of
from .tensor_files import HERE


def export(model: Any, args: Any, kwargs: Any, dynamic_shapes: Any, facts: dict[str, Any]) -> None:
    parameters = inspect.signature(model.forward).parameters
    ordered = list(parameters)
    names = []
    for leaf in facts["inputs"]:
        kind, first, *rest = leaf["path"].removeprefix("/").split("/")
        if kind == "args":
            first = ordered[int(first)] if int(first) < len(ordered) else f"input_{first}"
        names.append("_".join([first, *rest]))
    axes = {
        name: {axis: length for axis, length in enumerate(leaf["shape"]) if isinstance(length, str)}
        for name, leaf in zip(names, facts["inputs"], strict=True)
    }
    outputs: list[str] = []
    for path in facts["outputs"]:
        name = f"output{path}".replace("/", "_")
        # The exporter would call an input of that name something else.
        while name in names or name in outputs:
            name += "_"
        outputs.append(name)
    # The fused path of nn.TransformerEncoderLayer is an operator that this exporter doesn't know.
    torch.backends.mha.set_fastpath_enabled(False)

    def write(model: Any, args: Any, kwargs: Any) -> list[str]:
        with torch.no_grad():
            torch.onnx.export(
                model,
                args,
                str(HERE / "model.onnx"),
                kwargs=kwargs or ({} if args and isinstance(args[-1], dict) else None),
                dynamo=False,
                input_names=names,
                output_names=outputs,
                dynamic_axes={name: dynamic for name, dynamic in axes.items() if dynamic},
                **facts["options"],
            )
        graph = onnx.load(HERE / "model.onnx", load_external_data=False).graph
        constants = {tensor.name for tensor in graph.initializer}
        return [value.name for value in graph.input if value.name not in constants]

    plain = [name for name, parameter in parameters.items() if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    by_name = any(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters.values())
    by_name = by_name or any(name not in plain for name in kwargs)
    # It gives all of forward's parameters by place, and makes inputs of the numbers among them.
    if by_name or set(write(model, args, kwargs)) - set(names):
        write(around(model, args, kwargs), tensors_of(args, kwargs), {})
