"""Functions by element, and softmax: vectorised ones promise 1 to 4 units in the last place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..operands import leaves
from .call import ROUNDING, Call, Formula, Relative, Replaced, Spread, Tensor, floating, wide

# In units of the last place, as a standard deviation: of a function that is off by up to 4.
GOOD = 2.0

_FUNCTIONS = (
    *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh"),
    *("asinh", "acosh", "atanh", "erf", "erfc", "erfinv", "sigmoid", "rsqrt", "silu", "mish", "lgamma", "digamma"),
    *("atan2", "hypot", "logit", "special_i0", "special_i1", "special_ndtri", "special_log_ndtr", "xlogy", "softplus"),
    *("logaddexp", "logaddexp2", "log_sigmoid_forward", "polygamma", "logcumsumexp", "logsumexp", "frexp", "polar"),
    *(
        "nll_loss_backward",
        "nll_loss2d_backward",
        "mse_loss_backward",
        "smooth_l1_loss_backward",
        "huber_loss_backward",
    ),
    *(
        "binary_cross_entropy_backward",
        "sigmoid_backward",
        "tanh_backward",
        "silu_backward",
        "mish_backward",
        "softplus_backward",
    ),
    *("log_sigmoid_backward", "angle", "sinc", "special_entr", "igamma", "glu"),
)


def _function(call: Call) -> Sequence[Spread]:
    return [Relative(GOOD * call.unit) for _ in call.results]


def _around_one(call: Call) -> Sequence[Spread]:
    """Sin and cos: the argument's reduction is exact to about u beside."""
    return [wide(result).abs() * (GOOD * call.unit) + call.unit / 4.0 for result in call.results]


def _gelu(call: Call) -> Sequence[Spread]:
    """X Φ(x): Φ = (1 + erf(x/√2)) / 2 is computed as it stands, and so good to u absolutely in its lower tail."""
    x = wide(call["self"])
    tail = torch.where(x < 0, x.abs(), 0.0)
    return [wide(call.results[0]).abs() * (GOOD * call.unit) + tail * (call.unit / 2.0)]


def _gelu_backward(call: Call) -> Sequence[Spread]:
    return [(wide(call.results[0]).abs() * GOOD + wide(call["grad_output"]).abs()) * call.unit]


def _elu(call: Call) -> Sequence[Spread]:
    """α (exp(x) - 1): written so, and so good to u absolutely near 0."""
    x = wide(call.args[0])
    scale = 2.0  # SELU's α times its scale is 1.76
    spread = torch.where(x < 0, wide(call.results[0]).abs() * (GOOD * call.unit) + scale * call.unit / 4.0, 0.0)
    return [spread]


def _power(call: Call) -> Sequence[Spread]:
    """exp(b log a): relative errors of the logarithm grow with the exponent."""
    y = wide(call.results[0]).abs()
    growth = y.log().abs().nan_to_num(0.0, 0.0, 0.0)
    return [y * (call.unit * (GOOD + growth / 4.0))]


def _softmax(call: Call) -> Sequence[Spread]:
    """exp(x - max) / Σ: the difference is rounded, n terms of one sign are added."""
    (result,) = call.results
    y, axis = wide(result), call["dim"]
    terms = y.shape[axis] if y.dim() else 1
    greatest = y.amax(axis, keepdim=True) if y.dim() else y
    depth = (greatest.log() - y.log()).nan_to_num(0.0, 0.0, 0.0)
    return [y * (call.unit * (GOOD + terms**0.5 / 3.0 + depth / 2.0))]


def _log_softmax(call: Call) -> Sequence[Spread]:
    """X - max - log Σ exp(x - max)."""
    (result,) = call.results
    y, axis = wide(result), call["dim"]
    terms = y.shape[axis] if y.dim() else 1
    depth = (y.amax(axis, keepdim=True) - y).abs() if y.dim() else y.abs()
    sizes = (depth + y.abs()).nan_to_num(0.0, 0.0, 0.0)
    return [(sizes * ROUNDING + (GOOD + terms**0.5 / 3.0) / 2.0) * call.unit]


def _softmax_backward(call: Call) -> Sequence[Spread]:
    g, y, axis = wide(call["grad_output"]), wide(call["output"]), call["dim"]
    inner = (g * y).abs().sum(axis, keepdim=True)
    return [y.abs() * (g.abs() + inner * max(1.0, y.shape[axis] ** 0.5 / 3.0)) * call.unit]


def _log_softmax_backward(call: Call) -> Sequence[Spread]:
    g, y, axis = wide(call["grad_output"]), wide(call["output"]), call["dim"]
    total = g.abs().sum(axis, keepdim=True) * max(1.0, y.shape[axis] ** 0.5 / 3.0)
    return [(g.abs() + y.exp() * (GOOD * g.sum(axis, keepdim=True).abs() + total)) * call.unit]


def _backward_stable(call: Call) -> Sequence[Spread]:
    """Decompositions, solutions, fused layers: exact for operands that are a little off, of which one is tried."""

    def moved(value: Tensor) -> Tensor:
        size = wide(value).abs()
        scale = size + 0.25 * size.square().mean().sqrt() if size.numel() else size
        return (value + (call.normal(value) * scale * (GOOD * call.unit)).to(value.dtype)).to(value.dtype)

    returned: Any = call.with_operands(moved)
    values = [value for value in leaves(returned) if floating(value)]
    return [
        Replaced(value, wide(value).abs() * call.unit)
        for value, result in zip(values, call.results, strict=True)
        if value.shape == result.shape
    ]


_STABLE = (
    *("linalg_inv_ex", "_linalg_solve_ex", "linalg_solve_triangular", "linalg_cholesky_ex", "linalg_lu_factor_ex"),
    *("linalg_lu_solve", "_linalg_svd", "_linalg_eigh", "linalg_qr", "_linalg_det", "_linalg_slogdet", "linalg_lu"),
    *("linalg_lstsq", "linalg_matrix_exp", "triangular_solve", "cholesky_solve", "cholesky_inverse", "linalg_eig"),
    *("_transformer_encoder_layer_fwd", "_native_multi_head_attention", "mkldnn_rnn_layer", "_fused_sdp_choice"),
    *("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_efficient_attention"),
    *("_scaled_dot_product_flash_attention", "_flash_attention_forward", "_trilinear", "lstm", "gru"),
    *("grid_sampler_2d", "grid_sampler_3d"),
)

FORMULAS: dict[str, Formula] = {
    **dict.fromkeys(_FUNCTIONS, _function),
    "sin": _around_one,
    "cos": _around_one,
    "gelu": _gelu,
    "gelu_backward": _gelu_backward,
    "elu": _elu,
    "celu": _elu,
    "selu": _elu,
    "pow": _power,
    "_softmax": _softmax,
    "_safe_softmax": _softmax,
    "_log_softmax": _log_softmax,
    "_softmax_backward_data": _softmax_backward,
    "_log_softmax_backward_data": _log_softmax_backward,
    **dict.fromkeys(_STABLE, _backward_stable),
}
