"""Operators of aten as another faithful runtime may compute them: `TABLE`, by name without overload.

Each function takes a `Draw`, the operator and its arguments by name, and returns what the operator returns, or
NotImplemented where it leaves that to eager. What is not in the table has one right result, or is left to eager as one
of the right ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from .accumulate import products, total
from .convolve import Convolution, adaptively_pooled, convolved, full, pooled
from .draw import Draw
from .functions import UNARY, applied, rounded

Arguments = Mapping[str, Any]
Operator = Callable[[Draw, Any, Arguments], Any]
_WIDE = {torch.float32: torch.float64, torch.complex64: torch.complex128}
_NARROW = {wide: narrow for narrow, wide in _WIDE.items()}


def multiply_add(draw: Draw, values: Tensor, factor: Tensor, summand: Tensor) -> Tensor:
    """Values · factor + summand, with FMA or without. (A product of two float32 is exact in float64.)"""
    if draw.whether("FMA"):
        return (values.double() * factor.double() + summand.double()).float()
    return values * factor + summand


# -- matrix products ---------------------------------------------------------------------------------------------------


def _mm(draw: Draw, _: Any, a: Arguments) -> Tensor:
    return products(a["self"][None], a["mat2"][None], draw.order("products"))[0]


def _bmm(draw: Draw, _: Any, a: Arguments) -> Tensor:
    return products(a["self"], a["mat2"], draw.order("products"))


def _mv(draw: Draw, _: Any, a: Arguments) -> Tensor:
    return products(a["self"][None], a["vec"][None, :, None], draw.order("products"))[0, :, 0]


def _dot(draw: Draw, _: Any, a: Arguments) -> Tensor:
    return products(a["self"][None, None], a["tensor"][None, :, None], draw.order("products"))[0, 0, 0]


def _addmm(draw: Draw, _: Any, a: Arguments) -> Tensor:
    return _scaled(draw, a, a["mat1"][None], a["mat2"][None])[0]


def _baddbmm(draw: Draw, _: Any, a: Arguments) -> Tensor:
    return _scaled(draw, a, a["batch1"], a["batch2"])


def _scaled(draw: Draw, a: Arguments, left: Tensor, right: Tensor) -> Tensor:
    """Self, times beta, and left · right, times alpha."""
    alpha, beta = a["alpha"], a["beta"]
    start = a["self"].expand(right.shape[0], left.shape[1], right.shape[2])
    order = draw.order("products")
    if alpha == beta == 1:
        return products(left, right, order, start)
    found = products(left, right, order) * alpha
    sums: Tensor = found if beta == 0 else found + start * beta
    return sums


def convolution(a: Arguments) -> Convolution:
    """The arguments of aten.convolution."""
    count = a["input"].dim() - 2
    names = ("stride", "padding", "dilation", "output_padding")
    lists = {name: full(a[name], count) for name in names}
    return Convolution(a["input"], a["weight"], a["bias"], transposed=a["transposed"], groups=a["groups"], **lists)


def _convolution(draw: Draw, _: Any, a: Arguments) -> Tensor:
    return computed(draw, convolution(a))


def computed(draw: Draw, given: Convolution) -> Tensor:
    """A convolution in an order that is drawn."""
    return convolved(given, draw.order("convolutions"), draw.whether("channels last"))


# -- sums --------------------------------------------------------------------------------------------------------------


def _dims(values: Tensor, dim: int | Sequence[int] | None) -> list[int]:
    dims = list(range(values.dim())) if dim is None or dim == [] else [dim] if isinstance(dim, int) else list(dim)
    return [one % max(1, values.dim()) for one in dims]


def _kept(values: Tensor, reduced: Tensor, dims: Sequence[int], keepdim: bool) -> Tensor:
    shape = [1 if i in dims else length for i, length in enumerate(values.shape)]
    return reduced.reshape(shape) if keepdim else reduced


def mean(draw: Draw, values: Tensor, dims: Sequence[int]) -> Tensor:
    """Means over dimensions, which are kept: a sum that is divided, or multiplied by the inverse."""
    count = math.prod(values.shape[dim] for dim in dims)
    found = _kept(values, total(values, dims, draw.order("sums")), dims, keepdim=True)
    return quotient(draw, found, torch.tensor(float(count)))


def quotient(draw: Draw, values: Tensor, divisor: Tensor) -> Tensor:
    """Values / divisor; as a product with the inverse only where the quotient is no exact one."""
    divided = values / divisor
    if not draw.whether("inverse"):
        return divided
    exact = divided.double() * divisor.double() == values.double()
    return torch.where(exact | ~torch.isfinite(divided), divided, values * (1.0 / divisor))


def _sum(draw: Draw, _: Any, a: Arguments) -> Any:
    values, dims = a["self"], _dims(a["self"], a.get("dim"))
    if values.dtype != torch.float32 or a.get("dtype") not in (None, torch.float32):
        return NotImplemented
    return _kept(values, total(values, dims, draw.order("sums")), dims, a.get("keepdim", False))


def _mean(draw: Draw, _: Any, a: Arguments) -> Any:
    values, dims = a["self"], _dims(a["self"], a.get("dim"))
    if values.dtype != torch.float32 or a.get("dtype") not in (None, torch.float32) or not values.numel():
        return NotImplemented
    found = mean(draw, values, dims)
    return found if a.get("keepdim", False) else found.reshape([n for i, n in enumerate(values.shape) if i not in dims])


def moments(draw: Draw, values: Tensor, dims: Sequence[int], correction: float = 0.0) -> tuple[Tensor, Tensor]:
    """Mean and variance over dimensions, which are kept."""
    middle = mean(draw, values, dims)
    away = values - middle
    count = math.prod(values.shape[dim] for dim in dims) - correction
    squares = _kept(values, total(away * away, dims, draw.order("sums")), dims, keepdim=True)
    return middle, quotient(draw, squares, torch.tensor(float(count)))


def _variance(draw: Draw, operator: Any, a: Arguments) -> Any:
    values, dims = a["self"], _dims(a["self"], a.get("dim"))
    correction = 1 if a.get("correction") is None else a["correction"]
    if math.prod(values.shape[dim] for dim in dims) <= correction:
        return NotImplemented
    middle, spread = moments(draw, values, dims, float(correction))
    name = operator.overloadpacket.__name__
    found = [spread.sqrt() if name.startswith("std") else spread] + [middle] * name.endswith("mean")
    shape = middle.shape if a["keepdim"] else [n for i, n in enumerate(values.shape) if i not in dims]
    results = [one.reshape(shape) for one in found]
    return tuple(results) if name.endswith("mean") else results[0]


def _vector_norm(draw: Draw, _: Any, a: Arguments) -> Any:
    values, dims = a["self"], _dims(a["self"], a.get("dim"))
    if a["ord"] != 2 or a.get("dtype") is not None or not values.dim():
        return NotImplemented
    squares = total(values * values, dims, draw.order("sums"))
    return _kept(values, squares.sqrt(), dims, a["keepdim"])


def _pool(draw: Draw, operator: Any, a: Arguments) -> Any:
    values, count = a["self"], len(a["kernel_size"])
    kernel = full(a["kernel_size"], operator.overloadpacket.__name__.count("3") + 2)
    if values.dim() != len(kernel) + 2 or count == 0:
        return NotImplemented
    stride, padding = full(a["stride"] or kernel, len(kernel)), full(a["padding"], len(kernel))
    # How much each window counts, and what its sum is divided by: eager's own rules for edges, of ones.
    ones = torch.ones(1, 1, *values.shape[2:], dtype=torch.float64)
    pads = (kernel, stride, padding, a["ceil_mode"])
    held = operator(ones, *pads, False, 1)
    divisor = (held / operator(ones, *pads, a["count_include_pad"], a["divisor_override"])).round()
    sums = pooled(values, kernel, stride, padding, held.shape[2:], draw.order("sums"))
    return quotient(draw, sums, divisor.float())


def _adaptive_pool(draw: Draw, _: Any, a: Arguments) -> Tensor:
    return adaptively_pooled(a["self"], a["output_size"], draw.order("sums"))


# -- functions ---------------------------------------------------------------------------------------------------------


def _function(draw: Draw, operator: Any, a: Arguments) -> Tensor:
    """An elementwise function of `self`, with further arguments as they are."""
    name = operator.overloadpacket.__name__.removesuffix("_")
    further = {key: value for key, value in a.items() if key != "self"}
    if name == "gelu" and a["approximate"] == "none" and draw.whether("GELU composed"):
        # x/2 · (1 + erf(x/√2)), as graphs have it.
        inner = applied(torch.erf, a["self"] * math.sqrt(0.5), draw.error("erf"), "erf")
        halves: Tensor = a["self"] * 0.5 * (1.0 + inner)
        return halves
    function = getattr(torch.ops.aten, name)
    return applied(lambda values: function(values, **further), a["self"], draw.error(name), name)


def _log_sigmoid(draw: Draw, operator: Any, a: Arguments) -> tuple[Tensor, Tensor]:
    found = applied(torch.nn.functional.logsigmoid, a["self"], draw.error("log_sigmoid"), "log_sigmoid")
    return found, operator(a["self"])[1]


def _power(draw: Draw, operator: Any, a: Arguments) -> Any:
    if a["exponent"] in (0, 1, 2, 3, -1, 0.5) if isinstance(a["exponent"], (int, float)) else False:
        return NotImplemented  # products, an inverse, a square root
    wide = tree_map_only(Tensor, lambda one: one.double() if one.dtype == torch.float32 else one, dict(a))
    return rounded(operator(*wide.values()), draw.error("pow"))


def _divide(draw: Draw, _: Any, a: Arguments) -> Any:
    values, divisor = a["self"], a["other"]
    if not isinstance(divisor, Tensor):
        divisor = torch.tensor(float(divisor))
    if a.get("rounding_mode") is not None or {values.dtype, divisor.dtype} != {torch.float32}:
        return NotImplemented
    return quotient(draw, values, divisor)


def exponentials(draw: Draw, values: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """(values less the greatest, their exponentials, the sums of these), over a dimension that is kept."""
    away = values - values.amax(dim, keepdim=True)
    powers = applied(torch.exp, away, draw.error("exp"), "exp")
    return away, powers, _kept(values, total(powers, [dim], draw.order("sums")), [dim % values.dim()], keepdim=True)


def _softmax(draw: Draw, operator: Any, a: Arguments) -> Any:
    values, dim = a["self"], a["dim"]
    if not values.dim() or not values.numel() or a.get("dtype") is not None:
        return NotImplemented
    away, powers, sums = exponentials(draw, values, dim)
    name = operator.overloadpacket.__name__
    if name == "_log_softmax":
        return away - applied(torch.log, sums, draw.error("log"), "log")
    found = quotient(draw, powers, sums)
    if name == "_safe_softmax":
        return torch.where((values == -math.inf).all(dim, keepdim=True), 0.0, found)
    return found


def _logsumexp(draw: Draw, _: Any, a: Arguments) -> Any:
    values, dims = a["self"], _dims(a["self"], a["dim"])
    if len(dims) != 1 or not values.numel() or not values.dim():
        return NotImplemented
    _, _, sums = exponentials(draw, values, dims[0])
    greatest = values.amax(dims, keepdim=True)
    found = applied(torch.log, sums, draw.error("log"), "log") + greatest
    found = torch.where(torch.isfinite(greatest), found, greatest)
    return found if a["keepdim"] else found.squeeze(dims[0])


# -- norms -------------------------------------------------------------------------------------------------------------


def inverse_root(draw: Draw, values: Tensor) -> Tensor:
    """1 / √values: by a function of its own, or by the two that are correctly rounded."""
    if draw.whether("rsqrt"):
        return applied(torch.rsqrt, values, draw.error("rsqrt"), "rsqrt")
    return 1.0 / values.sqrt()


def normalised(
    draw: Draw, values: Tensor, middle: Tensor, inverse: Tensor, weight: Tensor | None, bias: Tensor | None, way: str
) -> Tensor:
    """(values - middle) · inverse · weight + bias, by one of the `WAYS`."""
    if way == "one by one":
        found = (values - middle) * inverse
        if weight is None:
            return found if bias is None else found + bias
        return found * weight if bias is None else multiply_add(draw, found, weight, bias)
    scale = inverse if weight is None else inverse * weight
    if way == "scale":
        away = values - middle
        return away * scale if bias is None else multiply_add(draw, away, scale, bias)
    shift = -middle * scale if bias is None else bias - middle * scale
    return multiply_add(draw, values, scale, shift)


WAYS = ("one by one", "scale", "scale and shift")


def _channels(values: Tensor | None, dimensions: int) -> Tensor | None:
    return None if values is None else values.reshape(-1, *[1] * (dimensions - 2))


def batch_norm(draw: Draw, a: Arguments) -> Any:
    """A batch norm in eval mode, or one without statistics of its own (an instance norm); else NotImplemented."""
    values, count = a["input"], a["input"].dim()
    if a.get("training", False):
        if a.get("running_mean") is not None:
            return NotImplemented
        middle, variance = moments(draw, values, [0, *range(2, count)])
    else:
        shape = (-1, *[1] * (count - 2))
        middle, variance = a["running_mean"].reshape(shape), a["running_var"].reshape(shape)
    inverse = inverse_root(draw, variance + a["eps"])
    weight, bias = _channels(a["weight"], count), _channels(a["bias"], count)
    return normalised(draw, values, middle, inverse, weight, bias, draw.one_of("batch norm", WAYS))


def _batch_norm(draw: Draw, _: Any, a: Arguments) -> Any:
    found = batch_norm(draw, a)
    if found is NotImplemented:
        return NotImplemented
    return found, found.new_empty(0), found.new_empty(0)


def _layer_norm(draw: Draw, _: Any, a: Arguments) -> Any:
    values = a["input"]
    dims = list(range(values.dim() - len(a["normalized_shape"]), values.dim()))
    if not values.numel():
        return NotImplemented
    middle, variance = moments(draw, values, dims)
    inverse = inverse_root(draw, variance + a["eps"])
    # Not by a shift: of values far from 0 it loses what the norm was to keep.
    way = draw.one_of("layer norm", WAYS[:2])
    return normalised(draw, values, middle, inverse, a["weight"], a["bias"], way), middle, inverse


def _group_norm(draw: Draw, _: Any, a: Arguments) -> Any:
    values, groups = a["input"], a["group"]
    if not values.numel():
        return NotImplemented
    grouped = values.reshape(values.shape[0], groups, -1)
    middle, variance = moments(draw, grouped, [2])
    inverse = inverse_root(draw, variance + a["eps"])
    each = values.shape[1] // groups

    def by_channel(one: Tensor) -> Tensor:
        return one.repeat_interleave(each, 1).reshape(values.shape[0], -1, *[1] * (values.dim() - 2))

    parts = _channels(a["weight"], values.dim()), _channels(a["bias"], values.dim())
    # By a shift, too: eager does it.
    found = normalised(draw, values, by_channel(middle), by_channel(inverse), *parts, draw.one_of("group norm", WAYS))
    return found, middle.squeeze(2), inverse.squeeze(2)


def _rms_norm(draw: Draw, _: Any, a: Arguments) -> Any:
    values = a["input"]
    dims = list(range(values.dim() - len(a["normalized_shape"]), values.dim()))
    eps = torch.finfo(torch.float32).eps if a["eps"] is None else a["eps"]
    inverse = inverse_root(draw, mean(draw, values * values, dims) + eps)
    found = values * inverse
    return (found if a["weight"] is None else found * a["weight"]), inverse


# -- the rest ----------------------------------------------------------------------------------------------------------


def _wide(draw: Draw, operator: Any, a: Arguments) -> Any:
    """As eager has it, or correctly rounded: computed in float64."""
    if not draw.whether("correctly rounded"):
        return NotImplemented

    def widened(one: Tensor) -> Tensor:
        return one.to(_WIDE[one.dtype]) if one.dtype in _WIDE else one

    def narrowed(one: Tensor) -> Tensor:
        return one.to(_NARROW[one.dtype]) if one.dtype in _NARROW else one

    wide = tree_map_only(Tensor, widened, dict(a))
    return tree_map_only(
        Tensor, narrowed, operator(**{k: v for k, v in wide.items() if k != "self"}, self=wide["self"])
    )


CONVOLUTION = "convolution"
BATCH_NORMS = ("native_batch_norm", "_native_batch_norm_legit_no_training")
TABLE: dict[str, Operator] = {
    "mm": _mm,
    "bmm": _bmm,
    "mv": _mv,
    "dot": _dot,
    "addmm": _addmm,
    "baddbmm": _baddbmm,
    CONVOLUTION: _convolution,
    "sum": _sum,
    "mean": _mean,
    **dict.fromkeys(("var", "std", "var_mean", "std_mean"), _variance),
    "linalg_vector_norm": _vector_norm,
    **dict.fromkeys(("avg_pool2d", "avg_pool3d"), _pool),
    **dict.fromkeys(("_adaptive_avg_pool2d", "_adaptive_avg_pool3d"), _adaptive_pool),
    **dict.fromkeys(set(UNARY) - {"log_sigmoid"}, _function),
    "log_sigmoid_forward": _log_sigmoid,
    "pow": _power,
    "div": _divide,
    **dict.fromkeys(("_softmax", "_log_softmax", "_safe_softmax"), _softmax),
    "logsumexp": _logsumexp,
    **dict.fromkeys(BATCH_NORMS, _batch_norm),
    "native_layer_norm": _layer_norm,
    "native_group_norm": _group_norm,
    "_fused_rms_norm": _rms_norm,
    **dict.fromkeys(
        ("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d", "cumsum", "prod"),
        _wide,
    ),
    **dict.fromkeys(("_fft_r2c", "_fft_c2r", "_fft_c2c"), _wide),
}
