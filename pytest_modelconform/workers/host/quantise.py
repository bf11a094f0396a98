"""A case's model in int8: PyTorch's own quantised graph, by torchao's PT2E and ExecuTorch's quantizer for XNNPACK.

One quantizer for all formats, so that a row has one reference: weights of convolutions and products int8 by channel and
symmetric, activations int8 by tensor, all static. That is what every backend of the row can hold.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from pytest_modelconform.environments.packages import missing_packages
from pytest_modelconform.terms.case import INT8

from ..loop import WorkerError
from .clones import clone
from .generate import Call

REQUIRES = ("torchao", "executorch")
# What takes a scalar, which ExecuTorch's quantizer makes a float tensor whatever the other operand.
_WITH_SCALARS = ("aten.add.Tensor", "aten.mul.Tensor")


def quantised(
    name: str, model: torch.nn.Module, inputs: dict[str, Call], exported: str, shapes: Any
) -> tuple[torch.nn.Module, str]:
    """The case's model in int8, calibrated on its own input sets, and a note of what that costs.

    exported: the set that it is captured with. shapes: its dynamic shapes, with `Dim`s. Raises WorkerError, of a kind
    that makes the cell unavailable where a package is missing, and else at stage build.
    """
    if lacking := missing_packages(REQUIRES):
        raise WorkerError(f"case {name!r}: the dtype {INT8!r} {lacking}", kind="Unavailable")
    where = f"case {name!r}, field 'dtypes': {INT8!r}"
    if model.training:
        raise WorkerError(f'{where} is for models in evaluation mode: leave it out, or mode="train"', "build")
    before = _outputs(model, inputs)
    args, kwargs = inputs[exported]
    try:
        with torch.no_grad():
            captured = torch.export.export(model, args, kwargs, dynamic_shapes=shapes).module()
    except Exception as error:
        said = f"{type(error).__name__}: {error}".strip().partition("\n")[0]
        raise WorkerError(
            f"{where} needs torch.export, which can't capture the model: {said}. Leave {INT8!r} out, or change the "
            "model so that the format `export` has it",
            "build",
        ) from error
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        observed = prepare_pt2e(captured, _quantizer())
        for key, (args, kwargs) in inputs.items():
            try:
                with torch.no_grad():
                    observed(*clone(args), **clone(kwargs))
            except Exception as error:
                said = f"{type(error).__name__}: {error}".strip().partition("\n")[0]
                raise WorkerError(
                    f"{where} is calibrated on all input sets, and the captured model refuses {key!r}: {said}. Say in "
                    "dynamic_shapes which sizes may change, or leave the set out",
                    "build",
                ) from error
        converted = convert_pt2e(observed)
    for module in converted.modules():
        module.training = False  # `eval()` is refused by a captured model, which has no other mode
    return converted, loss_note(before, _outputs(converted, inputs))


def _outputs(model: torch.nn.Module, inputs: dict[str, Call]) -> dict[str, Any]:
    with torch.no_grad():
        return {key: model(*clone(args), **clone(kwargs)) for key, (args, kwargs) in inputs.items()}


def _quantizer() -> Any:
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )

    class Quantizer(XNNPACKQuantizer):
        """ExecuTorch's, but for sums of integers: it makes `arange + 0` a sum with a float, which is then no index."""

        def transform_for_annotation(self, model: torch.fx.GraphModule) -> torch.fx.GraphModule:
            whole = [(n, n.args) for n in model.graph.nodes if str(n.target) in _WITH_SCALARS and not _is_floating(n)]
            model = super().transform_for_annotation(model)
            for node, given in whole:
                node.args = given
            model.graph.eliminate_dead_code()
            model.recompile()
            return model

    quantizer = Quantizer()
    quantizer.set_global(get_symmetric_quantization_config(is_per_channel=True))
    return quantizer


def _is_floating(node: torch.fx.Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def loss_note(before: dict[str, Any], after: dict[str, Any]) -> str:
    """What quantising costs the model itself: the fewest bits over input sets, from the outputs of both."""
    fewest = math.inf
    for key, outputs in before.items():
        for one, other in zip(tree_leaves(outputs), tree_leaves(after[key]), strict=True):
            if isinstance(one, torch.Tensor) and one.is_floating_point() and one.numel():
                error = (one.double() - other.double()).square().sum().item()
                signal = one.double().square().sum().item()
                if error and signal:
                    fewest = min(fewest, 0.5 * math.log2(signal / error))
    right = f": it is right to {fewest:.1f} bits" if fewest < math.inf else ""
    return f"quantised to int8 by PT2E and XNNPACK's quantizer{right}"
