"""What an exporter may get wrong in an operator of `torch.export`'s program, by kind."""

from __future__ import annotations

from typing import Any

import torch

from ..faults import operators as calls
from ..faults.dispatch import Change, Values, call

LINEAR = ("linear", "addmm", "matmul", "mm", "bmm")
CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")
ACTIVATIONS = ("relu", "relu6", "gelu", "silu", "tanh", "sigmoid", "hardswish", "hardsigmoid", "hardtanh", "elu", "exp")
PRODUCTS = (*LINEAR, *CONVOLUTIONS)


def without(argument: str) -> Change:
    """A weight that is left out."""

    def change(func: Any, values: Values) -> bool | None:
        if values.get(argument) is None:
            return False
        values[argument] = None
        return None

    return change


def turned(func: Any, values: Values) -> bool | None:
    """A square matrix of weights, transposed."""
    weight = values.get("weight")
    if weight is None or weight.dim() != 2 or weight.shape[0] != weight.shape[1]:
        return False
    values["weight"] = weight.t()
    return None


def dilated(func: Any, values: Values) -> bool | None:
    """A dilation of 2 and the padding that keeps the shape."""
    kernel = values["weight"].shape[2:]
    if isinstance(values["padding"], str) or all(size == 1 for size in kernel) or any(size % 2 == 0 for size in kernel):
        return False
    padding, dilation = (_each(values[name], len(kernel)) for name in ("padding", "dilation"))
    values["padding"] = [p + (size - 1) // 2 * d for p, size, d in zip(padding, kernel, dilation, strict=True)]
    values["dilation"] = [2 * d for d in dilation]
    return None


def padded_behind(func: Any, values: Values) -> bool | None:
    """Padded by two behind instead of one on each side."""
    if isinstance(values["padding"], str) or not any(_each(values["padding"], 1)):
        return False
    padding = _each(values["padding"], values["weight"].dim() - 2)
    sides = [side for p in reversed(padding) for side in (p - 1 if p else 0, p + 1 if p else 0)]
    values["input"] = torch.nn.functional.pad(values["input"], sides)
    values["padding"] = [0] * len(padding)
    return None


def _each(value: Any, axes: int) -> list[Any]:
    found = list(value) if isinstance(value, (list, tuple)) else [value]
    return found * axes if len(found) == 1 else found


def other_axis(func: Any, values: Values) -> bool | None:
    """The axis before."""
    if values["self"].dim() < 2:
        return False
    values["dim"] = (values["dim"] - 1) % values["self"].dim()
    return None


def mask_dropped(func: Any, values: Values) -> bool | None:
    """Attention to what is masked."""
    return calls.put("attn_mask", None)(func, values)  # type: ignore[return-value]


def rounded(func: Any, values: Values) -> tuple[Any]:
    """What the operator returns, as float16 has it."""
    return (call(func, values).half().float(),)


def nearest(func: Any, values: Values) -> tuple[Any]:
    """The nearest pixel instead of four."""
    scale = {"scale_factors": values["scale_factors"], "output_size": values["output_size"]}
    return (torch.ops.aten.upsample_nearest2d.vec(values["input"], **scale),)


def times(factor: float) -> Change:
    """What the operator returns, times a factor."""
    return lambda func, values: (call(func, values) * factor,)


def negative_zero(func: Any, values: Values) -> tuple[Any]:
    """Negative numbers are a tenth, where they should be nothing."""
    return (torch.nn.functional.leaky_relu(values["self"], 0.1),)


# kind -> (operators of the program, change), each call of one of them is a mutant.
KINDS: dict[str, tuple[tuple[str, ...], Change]] = {
    "layer norm's epsilon × 10": (("layer_norm",), calls.scaled("eps", 10.0)),
    "group norm's epsilon × 10": (("group_norm",), calls.scaled("eps", 10.0)),
    "batch norm's epsilon 1e-3": (("batch_norm",), calls.put("eps", 1e-3)),
    "norm's bias dropped": (("layer_norm", "group_norm", "batch_norm"), without("bias")),
    "GELU by the other formula": (("gelu",), calls.other_gelu),
    "activation dropped": (ACTIVATIONS, calls.dropped),
    "leaky ReLU for ReLU": (("relu",), negative_zero),
    "activation in float16": (ACTIVATIONS, rounded),
    "align_corners turned": (("upsample_bilinear2d",), calls.flipped("align_corners")),
    "nearest for bilinear": (("upsample_bilinear2d",), nearest),
    "mask inverted": (("where",), calls.exchanged("self", "other")),
    "fill mask inverted": (("masked_fill",), calls.mask_turned),
    "attention mask dropped": (("scaled_dot_product_attention",), mask_dropped),
    "keys and values swapped": (("scaled_dot_product_attention",), calls.exchanged("key", "value")),
    "attention × 1.001": (("scaled_dot_product_attention",), times(1.001)),
    "softmax over another axis": (("softmax", "log_softmax"), other_axis),
    "softmax in float16": (("softmax", "log_softmax"), rounded),
    "padding counted or not": (("avg_pool2d",), calls.flipped("count_include_pad")),
    "ceil_mode turned": (("avg_pool2d", "max_pool2d"), calls.flipped("ceil_mode")),
    "convolution dilated": (CONVOLUTIONS, dilated),
    "convolution padded behind": (CONVOLUTIONS, padded_behind),
    "residual dropped": (("add",), calls.residual_dropped),
    "minuend and subtrahend swapped": (("sub",), calls.exchanged("self", "other")),
    "concatenated in reverse": (("cat",), calls.reversed_parts),
    "embedding's index + 1": (("embedding",), calls.next_index),
    "bias dropped": ((*LINEAR, *CONVOLUTIONS), without("bias")),
    "weight transposed": (("linear",), turned),
    "product in bfloat16": (PRODUCTS, calls.operands_in(torch.bfloat16)),
    "product in float16": (PRODUCTS, calls.operands_in(torch.float16)),
    "result × 1.001": ((*PRODUCTS, "mean", "mul", "div"), times(1.001)),
}
# kind -> (first operator, second one, change of the second one): only wrong where the second one directly follows the
# first, and nobody else sees what is between them.
FOLDED: dict[str, tuple[tuple[str, ...], tuple[str, ...], Change]] = {
    "folded norm's epsilon": (CONVOLUTIONS, ("batch_norm",), calls.put("eps", 1e-3)),
    "fused activation dropped": (PRODUCTS, ("relu", "gelu", "silu", "tanh", "sigmoid"), calls.dropped),
    "fused activation in float16": (PRODUCTS, ("relu", "gelu", "silu", "tanh", "sigmoid"), rounded),
    "fused scale dropped": (("matmul", "linear"), ("mul", "div"), calls.dropped),
    "fused norm and product × 1.001": (("layer_norm", "batch_norm"), ("linear", "conv2d"), times(1.001)),
}


def change_of(kind: str) -> Change:
    """What a kind does."""
    return KINDS[kind][1] if kind in KINDS else FOLDED[kind][2]
