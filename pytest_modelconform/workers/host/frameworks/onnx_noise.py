"""What another faithful order of accumulation could make of each operator's result, in ONNX's evaluator.

In units u of the dtype's roundoff, with ξ standard normal:

| operators | moved by |
| --- | --- |
| products of n terms (Conv, MatMul, Gemm, Einsum …) | ξ · max(1/2, rho √n / 3) · (|A|·|B|), rho = |y| / (|A|·|B|) |
| sums and means | the left-to-right sum in the dtype itself, and ξ / 2 · Σ|x| |
| average pools | as products; where the summands are nearly equal rho n / 8 in place of rho √n / 3 |
| batch norms | ξ · (|x| |s| + |μ| |s| + |β|), s the scale by the standard deviation |
| other norms | the same, and for each mean and variance what sums lose |
| exp, tanh, erf, softmax … | ξ · 2 |y| |
| LSTM, GRU, RNN, attention | by their operands, so far that the products inside move as products do |
| + - * / sqrt | ξ · 0.58 |y|, only where the exact result is not representable |
| copies, choices, integers, what is quantized | nothing |

Sources: Higham and Mary, "A new approach to probabilistic rounding error analysis", SIAM J. Sci. Comput. 2019, for
products and sums; Parker, "Monte Carlo Arithmetic", 1997, for arithmetic. docs/verdicts.md says what it is for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod, sqrt
from typing import Any

import numpy as np

from ...arrays import Array

Again = Callable[..., Sequence[Any]]

# Vectorised functions promise 1 to 4 units.
FUNCTION_UNITS = 2.0
# A rounding error is uniform within half a unit, which is one u: of a standard deviation of 1 / sqrt(3).
ARITHMETIC_UNITS = 0.58
_NEARLY_EQUAL = 0.1  # coefficient of variation
# Independent moves of both operands by c u make one of sqrt(2 Σ a²b²) u c, 1.8 / √n of Σ|ab| where these are normal;
# that this is half of Σ|ab|, as a left-to-right sum's error is, takes c = 0.28 √n.
_OPERANDS = 0.28
_ROUNDOFF = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24, "float64": 2.0**-53}


class Noise:
    """A hook of an evaluator, see `hooked`. seed: of all that is drawn. scale: how many times as far as is faithful."""

    def __init__(self, seed: int, scale: float = 1.0) -> None:
        self.random = np.random.default_rng(seed)
        self.scale = scale

    def __call__(self, node: Any, inputs: Sequence[Any], outputs: Sequence[Any], again: Again) -> Sequence[Any]:
        """The outputs of a node, moved."""
        known = node.domain in ("", "ai.onnx")
        if (known and node.op_type in EXACT) or not any(_is_float(value) for value in outputs):
            return outputs
        rule = RULES.get(node.op_type, _other) if known else _other
        with np.errstate(all="ignore"):
            return rule(self, node, inputs, outputs, again)

    def moved(self, y: Any, size: Any, shape: tuple[int, ...] | None = None) -> Any:
        """Value y moved by ξ · u · size, rounded to its dtype. shape: of ξ, where elements move together."""
        if not _is_float(y) or not y.size:
            return y
        draw = self.random.standard_normal(y.shape if shape is None else shape)
        wide = y.astype(np.float64)
        move = draw * (self.scale * _ROUNDOFF[y.dtype.name]) * size
        return np.where(np.isfinite(move) & np.isfinite(wide), wide + move, wide).astype(y.dtype)


def _is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.name in _ROUNDOFF


def _absolute(value: Any) -> Any:
    return np.abs(value) if _is_float(value) else value


def _of_terms(y: Array, total: Array, n: float, share: Callable[[float], float] = lambda n: sqrt(n) / 3) -> Array:
    """max(1/2, rho √n / 3) · total, in units of u. total: the sum of the terms' sizes. share: in place of √n / 3."""
    total = np.maximum(np.abs(total.astype(np.float64)), np.abs(y.astype(np.float64)))
    found: Array = np.maximum(0.5 * total, np.abs(y.astype(np.float64)) * share(n))
    return found


def _product(terms: Callable[[Any, Sequence[Any], Array], float]) -> Rule:
    """A rule for products; terms(node, inputs, output): how many are summed up for an element."""

    def rule(noise: Noise, node: Any, inputs: Sequence[Any], outputs: Sequence[Any], again: Again) -> Sequence[Any]:
        y = outputs[0]
        total = again(*map(_absolute, inputs))[0]
        return [noise.moved(y, _of_terms(y, total, terms(node, inputs, y))), *outputs[1:]]

    return rule


def _einsum_terms(node: Any, inputs: Sequence[Any], y: Array) -> float:
    """The product of the lengths that are summed over: all that the operands have, without the result's."""
    left, _, right = str(node.equation).replace(" ", "").partition("->")
    lengths: dict[str, int] = {}
    for labels, operand in zip(left.split(","), inputs, strict=True):
        before, _, after = labels.partition("...")
        lengths.update(zip(before, operand.shape, strict=False))
        lengths.update(zip(reversed(after), reversed(operand.shape), strict=False))
    if "->" not in node.equation:
        right = "".join(label for label in lengths if left.count(label) == 1)
    return float(prod(length for label, length in lengths.items() if label not in right))


def _average_pool(
    noise: Noise, node: Any, inputs: Sequence[Any], outputs: Sequence[Any], again: Again
) -> Sequence[Any]:
    x, y = inputs[0], outputs[0]
    n = prod(node.kernel_shape)
    size = np.abs(x.astype(np.float64))
    mean, square = again(size)[0], again(size * size)[0]
    even = square - mean * mean <= _NEARLY_EQUAL**2 * square
    move = np.where(even, _of_terms(y, mean, n, lambda n: max(n / 8, sqrt(n) / 3)), _of_terms(y, mean, n))
    return [noise.moved(y, move), *outputs[1:]]


def _sum(noise: Noise, node: Any, inputs: Sequence[Any], outputs: Sequence[Any], again: Again) -> Sequence[Any]:
    """The left-to-right sum: constant terms lose 6 u at n = 49 and 123 u at 1000, in each simple runtime alike."""
    x, y = inputs[0], outputs[0]
    axes = _axes(node, inputs)
    n = prod(x.shape[axis] for axis in axes)
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    terms = x.transpose(*kept, *axes).reshape(*(x.shape[axis] for axis in kept), n)
    if node.op_type in ("ReduceSumSquare", "ReduceL1"):
        terms = terms * terms if node.op_type == "ReduceSumSquare" else np.abs(terms)
    if not n or not axes or prod(terms.shape[:-1]) != y.size:
        return outputs
    by = n if node.op_type in ("ReduceMean", "GlobalAveragePool") else 1
    total = np.add.accumulate(terms, axis=-1, dtype=y.dtype)[..., -1] / np.asarray(by, y.dtype)
    size = np.abs(terms.astype(np.float64)).sum(axis=-1) / by
    wide, exact = total.astype(y.dtype).reshape(y.shape), y.astype(np.float64)
    wide = (exact + noise.scale * (wide.astype(np.float64) - exact)).astype(y.dtype)
    if _same(terms.astype(np.float64).sum(axis=-1).reshape(y.shape) / by, y) and _same(wide, y):
        return outputs  # whole numbers, say
    return [noise.moved(wide, 0.5 * size.reshape(y.shape)), *outputs[1:]]


def _axes(node: Any, inputs: Sequence[Any]) -> list[int]:
    """The axes that a reduction is over."""
    ndim = inputs[0].ndim
    if node.op_type == "GlobalAveragePool":
        return list(range(2, ndim))
    given = inputs[1] if len(inputs) > 1 and inputs[1] is not None else getattr(node, "axes", None)
    found = [] if given is None else [int(axis) % ndim for axis in np.asarray(given).ravel()] if ndim else []
    if not found and not getattr(node, "noop_with_empty_axes", 0):
        return list(range(ndim))
    return sorted(found)


def _batch_norm(noise: Noise, node: Any, inputs: Sequence[Any], outputs: Sequence[Any], again: Again) -> Sequence[Any]:
    """Scale and shift may be folded into the weights before."""
    x, y = inputs[0].astype(np.float64), outputs[0]
    parts = [value.astype(np.float64) for value in inputs[1:5]]
    if parts[0].ndim == 1:
        parts = [value.reshape(-1, *(1,) * (x.ndim - 2)) for value in parts]
    scale, shift, mean, variance = parts
    scale = np.abs(scale) / np.sqrt(variance + float(node.epsilon))
    return [noise.moved(y, (np.abs(x) + np.abs(mean)) * scale + np.abs(shift)), *outputs[1:]]


def _norm(noise: Noise, node: Any, inputs: Sequence[Any], outputs: Sequence[Any], again: Again) -> Sequence[Any]:
    """Norms over what the input itself holds; mean and variance are sums, whose error all of their elements share."""
    x, y = inputs[0].astype(np.float64), outputs[0]
    if node.op_type == "InstanceNormalization":
        axes = tuple(range(2, x.ndim))
        scale, shift = (value.astype(np.float64).reshape(-1, *(1,) * (x.ndim - 2)) for value in inputs[1:3])
    else:
        axes = tuple(range(node.axis % x.ndim, x.ndim))
        scale = inputs[1].astype(np.float64)
        given = inputs[2] if len(inputs) > 2 else None
        shift = np.zeros(()) if given is None else given.astype(np.float64)
    n = prod(x.shape[axis] for axis in axes)
    mean = np.zeros(()) if node.op_type == "RMSNormalization" else x.mean(axis=axes, keepdims=True)
    root = np.sqrt(((x - mean) ** 2).mean(axis=axes, keepdims=True) + float(node.epsilon))
    scale = np.abs(scale) / root
    rows = tuple(1 if axis in axes else length for axis, length in enumerate(x.shape))
    y = noise.moved(y, (np.abs(x) + np.abs(mean)) * scale + np.abs(shift))
    y = noise.moved(y, _of_terms(mean, np.abs(x).mean(axis=axes, keepdims=True), n) * scale, rows)
    y = noise.moved(y, (y.astype(np.float64) - shift) * max(0.5, sqrt(n) / 3) / 2, rows)
    return [y, *outputs[1:]]


def _softmax(noise: Noise, node: Any, inputs: Sequence[Any], outputs: Sequence[Any], again: Again) -> Sequence[Any]:
    """Each exponential is a function; the sum is of terms of one sign."""
    y = outputs[0]
    axis = node.axis % y.ndim if y.ndim else 0
    rows = tuple(1 if i == axis else length for i, length in enumerate(y.shape))
    lost = max(0.5, sqrt(y.shape[axis] if y.ndim else 1) / 3)
    shared = np.ones(()) if node.op_type == "LogSoftmax" else np.abs(y.astype(np.float64))
    y = noise.moved(y, FUNCTION_UNITS * np.abs(y.astype(np.float64)))
    return [noise.moved(y, lost * shared, rows), *outputs[1:]]


def _function(noise: Noise, node: Any, inputs: Sequence[Any], outputs: Sequence[Any], again: Again) -> Sequence[Any]:
    y = outputs[0]
    size = FUNCTION_UNITS * np.abs(y.astype(np.float64))
    # exp(0) is 1 and tanh(0) is 0 everywhere, and so are the ends of what saturates.
    return [noise.moved(y, np.where(_is_exact(y, inputs, again), 0.0, size)), *outputs[1:]]


def _collected(noise: Noise, node: Any, inputs: Sequence[Any], outputs: Sequence[Any], again: Again) -> Sequence[Any]:
    """Functions of sums of terms of one sign."""
    x, y = inputs[0], outputs[0]
    n = x.size / max(1, y.size) if y.size != x.size else max(x.shape, default=1)
    size = np.abs(y.astype(np.float64)) * max(FUNCTION_UNITS, sqrt(n) / 3)
    return [noise.moved(y, size + (sqrt(n) / 3 if "Log" in node.op_type else 0.0)), *outputs[1:]]


def _arithmetic(noise: Noise, node: Any, inputs: Sequence[Any], outputs: Sequence[Any], again: Again) -> Sequence[Any]:
    """What is exact in every arithmetic must not move: else boxes at whole pixels cross a ceil that no runtime does."""
    y = outputs[0]
    size = ARITHMETIC_UNITS * np.abs(y.astype(np.float64))
    return [noise.moved(y, np.where(_is_exact(y, inputs, again), 0.0, size)), *outputs[1:]]


def _is_exact(y: Array, inputs: Sequence[Any], again: Again) -> Array:
    """Where a result is what float64 makes of the same operands."""
    exact: Array = np.asarray(again(*(value.astype(np.float64) if _is_float(value) else value for value in inputs))[0])
    found: Array = exact == y.astype(np.float64)
    return found


def _operands(noise: Noise, node: Any, inputs: Sequence[Any], outputs: Sequence[Any], again: Again) -> Sequence[Any]:
    """What has products inside that nobody sees: its operands move instead, whole numbers (masks, lengths) don't."""
    weights = [value for value in inputs if _is_float(value) and value.ndim]
    n = sum(value.shape[-1] for value in weights[1:3]) if node.op_type in RECURRENT else max(weights[0].shape[-1], 1)
    c = max(1.0, _OPERANDS * sqrt(n))

    def other(value: Any) -> Any:
        if not _is_float(value) or _same(np.rint(value), value):
            return value
        return noise.moved(value, c * np.abs(value.astype(np.float64)))

    return again(*map(other, inputs))


def _interpolated(
    noise: Noise, node: Any, inputs: Sequence[Any], outputs: Sequence[Any], again: Again
) -> Sequence[Any]:
    """Weighted means of a few elements; the nearest one is a copy, the greatest a choice between such means."""
    x, y = inputs[0], outputs[0]
    if str(node.mode) == "nearest":
        return outputs
    # These are the slowest operators that the evaluator has.
    total = y if (x >= 0).all() else again(_absolute(x), *inputs[1:])[0]
    return [noise.moved(y, _of_terms(y, total, 4.0)), *outputs[1:]]


def _spectrum(noise: Noise, node: Any, inputs: Sequence[Any], outputs: Sequence[Any], again: Again) -> Sequence[Any]:
    """A sum of n products for each frequency; Σ|x| is 0.8 √n of the spectrum's root mean square (Parseval)."""
    y = outputs[0]
    wide = y.astype(np.float64)
    axes = (y.ndim - 2, y.ndim - 1)
    rms = np.sqrt((wide * wide).mean(axis=axes, keepdims=True))
    return [noise.moved(y, 0.4 * sqrt(y.shape[-2]) * rms), *outputs[1:]]


def _other(noise: Noise, node: Any, inputs: Sequence[Any], outputs: Sequence[Any], again: Again) -> Sequence[Any]:
    """An operator that we know nothing of: what isn't a copy of something moves as arithmetic does."""
    given = np.concatenate([np.zeros(1), *(np.unique(v).astype(np.float64) for v in inputs if _is_float(v))])
    return [
        noise.moved(y, np.where(np.isin(y, given), 0.0, ARITHMETIC_UNITS * np.abs(y.astype(np.float64))))
        if _is_float(y)
        else y
        for y in outputs
    ]


def _same(a: Array, b: Array) -> bool:
    return bool(np.array_equal(a, b))


Rule = Callable[[Noise, Any, Sequence[Any], Sequence[Any], Again], Sequence[Any]]

RECURRENT = ("LSTM", "GRU", "RNN")
FUNCTIONS = (
    *("Exp", "Log", "Tanh", "Sigmoid", "Erf", "Gelu", "Elu", "Selu", "Celu", "Softplus", "Softsign", "Mish", "Swish"),
    *("Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh", "Pow", "Reciprocal"),
    "SwiGLU",
)
ARITHMETIC = (
    *("Add", "Sub", "Mul", "Div", "Sqrt", "Sum", "Mean", "PRelu", "LeakyRelu", "HardSigmoid", "HardSwish", "Mod"),
    *("Range", "Shrink"),
)
EXACT = frozenset(
    (
        *("Relu", "Abs", "Neg", "Sign", "Floor", "Ceil", "Round", "Clip", "Min", "Max", "Where", "ThresholdedRelu"),
        *("MaxPool", "GlobalMaxPool", "MaxUnpool", "ReduceMax", "ReduceMin", "TopK", "Hardmax", "Identity", "Dropout"),
        *("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Concat", "Split", "Slice", "Pad", "Tile"),
        *("Expand", "Gather", "GatherElements", "GatherND", "ScatterElements", "ScatterND", "Scatter", "Compress"),
        *("Cast", "CastLike", "Constant", "ConstantOfShape", "DepthToSpace", "SpaceToDepth", "Trilu", "EyeLike"),
        *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "BitCast"),
        *("OneHot", "ReverseSequence", "Unique", "CenterCropPad", "NonMaxSuppression", "TensorScatter"),
        *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"),
    )
)
RULES: Mapping[str, Rule] = {
    **dict.fromkeys(FUNCTIONS, _function),
    **dict.fromkeys(ARITHMETIC, _arithmetic),
    **dict.fromkeys((*RECURRENT, "Attention", "LinearAttention", "DeformConv"), _operands),
    **dict.fromkeys(("ReduceSum", "ReduceMean", "ReduceL1", "ReduceSumSquare", "GlobalAveragePool"), _sum),
    **dict.fromkeys(
        ("ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceProd", "LRN", "LpNormalization"), _collected
    ),
    **dict.fromkeys(("LpPool", "GlobalLpPool", "MeanVarianceNormalization", "Det"), _collected),
    **dict.fromkeys(("LayerNormalization", "InstanceNormalization", "RMSNormalization"), _norm),
    **dict.fromkeys(("Softmax", "LogSoftmax"), _softmax),
    **dict.fromkeys(("Resize", "Upsample", "GridSample", "RoiAlign"), _interpolated),
    **dict.fromkeys(("DFT", "STFT"), _spectrum),
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Conv": _product(lambda node, inputs, y: float(prod(inputs[1].shape[1:]))),
    "CausalConvWithState": _product(lambda node, inputs, y: float(prod(inputs[1].shape[1:]))),
    "ConvTranspose": _product(lambda node, inputs, y: float(prod(inputs[1].shape) / inputs[1].shape[1])),
    "CumSum": _product(lambda node, inputs, y: float(max(y.shape, default=1))),
    "Col2Im": _product(lambda node, inputs, y: float(max(1, inputs[0].size // max(1, y.size)))),
    "Einsum": _product(_einsum_terms),
    "Gemm": _product(lambda node, inputs, y: float(inputs[0].shape[0 if node.transA else 1])),
    "MatMul": _product(lambda node, inputs, y: float(inputs[0].shape[-1])),
}
