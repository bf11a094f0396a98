"""What formats have in common that quantise a model by themselves, or hold one that PyTorch has quantised."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..terms.case import DEFAULTS

if TYPE_CHECKING:
    from ..workers.host.build import Built


def limits(reason: str) -> Mapping[str, str]:
    """That such a format makes less exact what is in float32, and has no use for a case in another dtype."""
    return {f"dtype:{dtype}": reason for dtype in DEFAULTS if dtype != "float32"}


def unfolded(built: Built) -> Built:
    """A quantised case whose weights are floats that the graph itself rounds to int8 and back.

    OpenVINO 2026.4 reads a pair of the two operators, and takes a weight that is int8 already for what it multiplies
    with. The floats are the steps times the scale, so that rounding them gives the same steps.
    """
    import torch

    model: Any = copy.deepcopy(built.model)
    library = torch.ops.quantized_decomposed
    rounding = {
        library.dequantize_per_channel.default: library.quantize_per_channel.default,
        library.dequantize_per_tensor.default: library.quantize_per_tensor.default,
    }
    names = 0
    for node in list(model.graph.nodes):
        if node.target not in rounding or node.args[0].op != "get_attr":
            continue
        given = [_value(model, argument) for argument in node.args]
        with torch.no_grad():
            weight = node.target(*given)
        name, names = f"_unfolded_{names}", names + 1
        model.register_buffer(name, weight)
        with model.graph.inserting_before(node):
            # The operator that rounds takes the same arguments.
            rounded = model.graph.call_function(rounding[node.target], (model.graph.get_attr(name), *node.args[1:]))
        node.args = (rounded, *node.args[1:])
    model.graph.eliminate_dead_code()
    model.recompile()
    return replace(built, model=model)


def _value(model: Any, argument: Any) -> Any:
    """What a node's argument stands for: a buffer or a parameter of the model, or itself."""
    if getattr(argument, "op", "") != "get_attr":
        return argument
    value = model
    for part in argument.target.split("."):
        value = getattr(value, part)
    return value
