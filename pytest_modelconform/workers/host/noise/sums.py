"""Sums, means, pools, cumulative sums, and what adds up by index."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .call import Call, Formula, Replaced, Spread, Tensor, Unknown, absolute, summed, wide
from .products import is_whole


def _reduction(call: Call) -> Sequence[Spread]:
    """A sum or mean: that from left to right, the worst of the faithful orders, and the usual spread around it.

    Where the summands are nearly equal the rounding errors of one order are, too, and add up to n u / 8: no random
    spread shows that.
    """
    (result,) = call.results
    x = call["self"]
    axes = _axes(call, x)
    terms = math.prod(x.shape[axis] for axis in axes)
    if terms <= 1 or not x.numel() or not result.numel():
        return [None]
    magnitude = absolute(x).sum(axes, keepdim=True)
    if is_whole(x) and float(magnitude.max()) < 1.0 / call.accumulator and call.name == "sum":
        return [None]
    share = 1.0 / terms if call.name == "mean" else 1.0
    spread = summed(call, result, (magnitude * share).reshape(result.shape), terms)
    if x.is_complex() or x.dtype != result.dtype or terms > call.longest:
        return [spread]
    ordered = left_to_right(x, axes).reshape(result.shape)
    return [Replaced((ordered / terms if share < 1.0 else ordered).to(result.dtype), spread)]


def _axes(call: Call, x: Tensor) -> tuple[int, ...]:
    try:
        dims = call["dim"]
    except Unknown:
        dims = None
    dims = [dims] if isinstance(dims, int) else dims
    return tuple(sorted(axis % max(x.dim(), 1) for axis in dims)) if dims else tuple(range(x.dim()))


def left_to_right(x: Tensor, axes: Sequence[int]) -> Tensor:
    """The sums over `axes` with one accumulator each, in the order of memory, in float32 at least.

    Returns a tensor of the remaining axes. (torch.cumsum accumulates in double precision, torch.sum in a tree.)
    """
    rest = [axis for axis in range(x.dim()) if axis not in axes]
    shape = [x.shape[axis] for axis in rest]
    terms = wide(x.detach()).permute(*axes, *rest).reshape(-1, math.prod(shape)).contiguous().cpu().numpy()
    # numpy adds pairwise along the axis that is contiguous, row after row along the other.
    total = np.add.reduce(terms, axis=0) if terms.shape[1] > 1 else np.add.accumulate(terms[:, 0])[-1:]
    return torch.from_numpy(np.ascontiguousarray(total)).reshape(shape).to(x.device)


def _pool(call: Call) -> Sequence[Spread]:
    """Average pools: each is a mean of a window."""
    (result,) = call.results
    x = call["self"]
    magnitude = call.with_operands(absolute)
    if "adaptive" in call.name:
        spatial = len(call["output_size"])
        window = math.prod(
            math.ceil(n / max(m, 1)) for n, m in zip(x.shape[-spatial:], result.shape[-spatial:], strict=True)
        )
    else:
        window = math.prod(call["kernel_size"]) ** (3 if len(call["kernel_size"]) == 1 and "3d" in call.name else 1)
    if window <= 1:
        return [None]
    return [summed(call, result, magnitude, window)]


def _cumulative(call: Call) -> Sequence[Spread]:
    (result,) = call.results
    x = call["self"]
    if is_whole(x) and float(absolute(x).sum()) < 1.0 / call.accumulator:
        return [None]
    return [summed(call, result, call.with_operands(absolute), max(1, x.shape[call["dim"]] if x.dim() else 1))]


def _by_index(call: Call) -> Sequence[Spread]:
    """What is added up by index, in any order, a few terms a place."""
    (result,) = call.results
    magnitude = call.with_operands(absolute)
    if all(is_whole(value) for value in call.args if isinstance(value, torch.Tensor) and value.is_floating_point()):
        return [None]
    given = max((value.numel() for value in call.args if isinstance(value, torch.Tensor)), default=1)
    return [summed(call, result, magnitude, max(1.0, given / max(result.numel(), 1)))]


def _adds(call: Call) -> Sequence[Spread]:
    """index_put, which adds up only where it is told to."""
    return _by_index(call) if call["accumulate"] else [None]


def _scattered(call: Call) -> Sequence[Spread]:
    # The names of scatter_reduce and index_reduce, and those of segment_reduce.
    return [None] if call["reduce"] in ("amax", "amin", "max", "min") else _by_index(call)


def _product_of_all(call: Call) -> Sequence[Spread]:
    (result,) = call.results
    return [wide(absolute(result)) * (call.unit * max(1, call["self"].numel() // max(result.numel(), 1)) ** 0.5)]


def _norm(call: Call) -> Sequence[Spread]:
    """Vector norms, variances, standard deviations: square roots (or sums) of sums of one sign."""
    x = call["self"]
    terms = max(1.0, x.numel() / max(call.results[0].numel(), 1))
    found: list[Spread] = [wide(absolute(call.results[0])) * (call.unit * (1.0 + terms**0.5 / 3.0))]
    return found + [summed(call, mean, _mean_of_sizes(x, mean), terms) for mean in call.results[1:]]


def _mean_of_sizes(x: Tensor, like: Tensor) -> Tensor:
    size = wide(absolute(x))
    return torch.full(like.shape, float(size.mean()), dtype=size.dtype) if like.numel() else like


def _loss(call: Call) -> Sequence[Spread]:
    """Losses: functions, then a sum or mean of one sign."""
    terms = max(1.0, call["self"].numel() / max(call.results[0].numel(), 1))
    return [wide(absolute(result)) * (call.unit * (2.0 + terms**0.5 / 3.0)) for result in call.results]


def _transform(call: Call) -> Sequence[Spread]:
    """Fourier transforms: u log2(n) of the root mean square over the transformed axes.

    (Higham, Accuracy and Stability of Numerical Algorithms, 2002, theorem 24.2.)
    """
    (result,) = call.results
    axes = tuple(axis % result.dim() for axis in call["dim"])
    size = wide(absolute(result))
    terms = math.prod(max(result.shape[axis], call["self"].shape[axis]) for axis in axes)
    rms = size.square().mean(axes, keepdim=True).sqrt()
    return [(rms * (0.6 * call.unit * max(1.0, math.log2(max(terms, 2))))).expand(result.shape)]


def _resampled(call: Call) -> Sequence[Spread]:
    """Interpolation: weighted means, the weights from coordinates up to the image's size, rounded each."""
    (result,) = call.results
    magnitude = wide(call.with_operands(absolute))
    if magnitude.shape == result.shape and bool((wide(absolute(result)) == magnitude).all()) and _copies(call, result):
        return [None]
    longest = max(result.shape[2:], default=1)
    return [magnitude * (call.unit * (1.0 + longest / 4.0))]


def _copies(call: Call, result: Tensor) -> bool:
    """Whether an interpolation only copies: of one pixel, or to the same size."""
    x: Any = call.args[0]
    return isinstance(x, torch.Tensor) and (x.shape == result.shape or math.prod(x.shape[2:]) == 1)


FORMULAS: dict[str, Formula] = {
    **dict.fromkeys(("sum", "mean", "nansum"), _reduction),
    **dict.fromkeys(
        (
            *("avg_pool2d", "avg_pool3d", "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_avg_pool2d"),
            "mkldnn_adaptive_avg_pool2d",
        ),
        _pool,
    ),
    **dict.fromkeys(("cumsum",), _cumulative),
    **dict.fromkeys(
        (
            *(
                "index_add",
                "scatter_add",
                "_embedding_bag",
                "embedding_dense_backward",
                "col2im",
                "avg_pool2d_backward",
            ),
            *("_adaptive_avg_pool2d_backward", "max_pool2d_with_indices_backward", "avg_pool3d_backward"),
            *("_adaptive_avg_pool3d_backward", "select_backward", "unfold_backward"),
            *("upsample_nearest2d_backward", "upsample_bilinear2d_backward", "upsample_nearest1d_backward"),
        ),
        _by_index,
    ),
    **dict.fromkeys(("index_put", "_index_put_impl", "_unsafe_index_put"), _adds),
    **dict.fromkeys(("scatter_reduce", "index_reduce", "segment_reduce"), _scattered),
    "prod": _product_of_all,
    "cumprod": _product_of_all,
    **dict.fromkeys(("linalg_vector_norm", "norm", "var", "std", "var_mean", "std_mean"), _norm),
    **dict.fromkeys(
        (
            *("mse_loss", "nll_loss_forward", "nll_loss2d_forward", "binary_cross_entropy", "smooth_l1_loss"),
            *("huber_loss", "_ctc_loss", "soft_margin_loss", "multi_margin_loss"),
        ),
        _loss,
    ),
    **dict.fromkeys(("_fft_r2c", "_fft_c2c", "_fft_c2r"), _transform),
    **dict.fromkeys(
        (
            *("upsample_bilinear2d", "upsample_bicubic2d", "upsample_linear1d", "upsample_trilinear3d"),
            *("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
        ),
        _resampled,
    ),
}
