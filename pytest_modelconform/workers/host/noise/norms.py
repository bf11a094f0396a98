"""Normalisations and their gradients.

Scale and shift may be folded: into one product and one sum, into the weights of what comes before, or not at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from .call import Call, Formula, Spread, Tensor, Unknown, summed, wide


def _folded(call: Call, x: Tensor, scale: Tensor, mean: Tensor, shift: Tensor | None) -> Tensor:
    """U (|x| |s| + |μ| |s| + |β|) of y = x·s + (β - μ·s)."""
    slope, rest = scale.abs() * call.unit, mean.abs() * scale.abs() * call.unit
    return torch.addcmul(rest if shift is None else rest + shift.abs() * call.unit, wide(x).abs(), slope)


def _with_statistics(
    call: Call, x: Tensor, axes: tuple[int, ...], mean: Tensor, rstd: Tensor, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Spreads of (y, mean, rstd) of y = (x - mean) rstd γ + β; all broadcast against x."""
    terms = math.prod(x.shape[axis] for axis in axes)
    sizes = x.abs().mean(axes, keepdim=True)
    moved_mean = summed(call, mean, sizes, terms)
    relative = call.unit * (1.5 + min(terms, call.longest) ** 0.5 / 6.0)
    scale = rstd if weight is None else rstd * weight
    y = _folded(call, x, scale, mean, bias) + ((x - mean) * scale).abs() * relative + moved_mean * scale.abs()
    return y, moved_mean, rstd.abs() * relative


def _batch_norm(call: Call) -> Sequence[Spread]:
    x, weight, bias = (None if call[n] is None else wide(call[n]) for n in ("input", "weight", "bias"))
    if x is None:
        raise Unknown
    shape = (1, -1) + (1,) * (x.dim() - 2)
    weight, bias = (None if v is None else v.view(shape) for v in (weight, bias))
    if _trains(call):
        axes = (0, *range(2, x.dim()))
        mean = x.mean(axes, keepdim=True)
        rstd = (x.var(axes, correction=0, keepdim=True) + call["eps"]).rsqrt()
        y, moved_mean, moved_rstd = _with_statistics(call, x, axes, mean, rstd, weight, bias)
        by_shape = {tuple(call.results[0].shape): y}
        found: list[Spread] = [by_shape[tuple(call.results[0].shape)]]
        spreads = [moved_mean.reshape(-1), moved_rstd.reshape(-1)]
        for result in call.results[1:]:
            # The saved statistics, then, of an operator that writes to them, the running ones: a share of the same.
            spread = spreads.pop(0) if spreads else result.abs() * call.unit
            found.append(spread if spread.shape == result.shape else None)
        return found
    running = (wide(call["running_mean"]).view(shape), wide(call["running_var"]).view(shape))
    scale = (running[1] + call["eps"]).rsqrt()
    scale = scale if weight is None else scale * weight
    return [_folded(call, x, scale, running[0], bias), *[None] * (len(call.results) - 1)]


def _trains(call: Call) -> bool:
    if "no_training" in call.name or "no_update" in call.name:
        return False
    try:
        return bool(call["training"])
    except Unknown:
        return "with_update" in call.name


def _layer_norm(call: Call) -> Sequence[Spread]:
    x, weight, bias = (None if call[n] is None else wide(call[n]) for n in ("input", "weight", "bias"))
    if x is None:
        raise Unknown
    axes = tuple(range(x.dim() - len(call["normalized_shape"]), x.dim()))
    _, mean, rstd = (wide(value) for value in call.everything)
    y, moved_mean, moved_rstd = _with_statistics(call, x, axes, mean, rstd, weight, bias)
    return [y, moved_mean.expand(mean.shape), moved_rstd.expand(rstd.shape)]


def _group_norm(call: Call) -> Sequence[Spread]:
    x, n, channels, groups = wide(call["input"]), call["N"], call["C"], call["group"]
    _, mean, rstd = (wide(value) for value in call.everything)
    shape = (n, groups, channels // groups, -1)
    weight, bias = (
        None if call[name] is None else wide(call[name]).view(1, groups, channels // groups, 1)
        for name in ("weight", "bias")
    )
    by_group = (n, groups, 1, 1)
    y, moved_mean, moved_rstd = _with_statistics(
        call, x.reshape(shape), (2, 3), mean.view(by_group), rstd.view(by_group), weight, bias
    )
    return [y.reshape(call.results[0].shape), moved_mean.view(mean.shape), moved_rstd.view(rstd.shape)]


def _rms_norm(call: Call) -> Sequence[Spread]:
    terms = math.prod(call["normalized_shape"])
    return [wide(result).abs() * (call.unit * (2.0 + terms**0.5 / 6.0)) for result in call.results]


def _weight_norm(call: Call) -> Sequence[Spread]:
    terms = call["v"].numel() / max(call["g"].numel(), 1)
    return [wide(result).abs() * (call.unit * (2.0 + terms**0.5 / 6.0)) for result in call.results]


# -- gradients ---------------------------------------------------------------------------------------------------------


def _gradient_of_input(
    call: Call, h: Tensor, x_hat: Tensor, rstd: Tensor, axes: tuple[int, ...], statistics: bool
) -> Tensor:
    """Of dx = rstd (h - mean(h) - x̂ mean(h x̂)), h = dy γ; without the means where statistics are constants."""
    if not statistics:
        return (h * rstd).abs() * (2.0 * call.unit)
    terms = math.prod(h.shape[axis] for axis in axes)
    both = h * x_hat
    mean, product = h.mean(axes, keepdim=True), both.mean(axes, keepdim=True)
    moved = summed(call, mean, h.abs().mean(axes, keepdim=True), terms)
    moved_product = summed(call, product, both.abs().mean(axes, keepdim=True), terms)
    sizes = h.abs() + mean.abs() + (x_hat * product).abs() * (2.0 + min(terms, call.longest) ** 0.5 / 6.0)
    return rstd.abs() * (call.unit * sizes + moved + x_hat.abs() * moved_product)


def _gradients(
    call: Call,
    g: Tensor,
    x_hat: Tensor,
    rstd: Tensor,
    weight: Tensor | None,
    axes: tuple[int, ...],
    rest: tuple[int, ...],
    statistics: bool = True,
) -> list[Spread]:
    """Spreads of the results that are asked for, of (dx, dγ, dβ). rest: the axes that γ doesn't have."""
    h = g if weight is None else g * weight
    terms = math.prod(g.shape[axis] for axis in rest)
    masked: list[Spread] = []
    results = list(call.results)
    wanted = call["output_mask"]
    if wanted[0]:
        masked.append(_gradient_of_input(call, h, x_hat, rstd, axes, statistics).reshape(results[0].shape))
    for asked, product in zip(wanted[1:], (g * x_hat, g), strict=True):
        if asked:
            result = results[len(masked)]
            masked.append(summed(call, wide(result), product.abs().sum(rest).reshape(result.shape), terms))
    return masked


def _layer_norm_backward(call: Call) -> Sequence[Spread]:
    g, x, mean, rstd = (wide(call[name]) for name in ("grad_out", "input", "mean", "rstd"))
    kept = x.dim() - len(call["normalized_shape"])
    weight = None if call["weight"] is None else wide(call["weight"])
    axes, rest = tuple(range(kept, x.dim())), tuple(range(kept))
    return _gradients(call, g, (x - mean) * rstd, rstd, weight, axes, rest)


def _group_norm_backward(call: Call) -> Sequence[Spread]:
    n, channels, groups = call["N"], call["C"], call["group"]
    shape, by_group = (n, groups, channels // groups, -1), (n, groups, 1, 1)
    g, x = (wide(call[name]).reshape(shape) for name in ("grad_out", "input"))
    mean, rstd = (wide(call[name]).view(by_group) for name in ("mean", "rstd"))
    weight = None if call["weight"] is None else wide(call["weight"]).view(1, groups, channels // groups, 1)
    return _gradients(call, g, (x - mean) * rstd, rstd, weight, (2, 3), (0, 3))


def _batch_norm_backward(call: Call) -> Sequence[Spread]:
    g, x = (wide(call[name]) for name in ("grad_out", "input"))
    axes = (0, *range(2, x.dim()))
    shape = (1, -1) + (1,) * (x.dim() - 2)
    weight = None if call["weight"] is None else wide(call["weight"]).view(shape)
    if trains := bool(call["train"]):
        mean = x.mean(axes, keepdim=True)
        rstd = (x.var(axes, correction=0, keepdim=True) + call["eps"]).rsqrt()
    else:
        mean = wide(call["running_mean"]).view(shape)
        rstd = (wide(call["running_var"]).view(shape) + call["eps"]).rsqrt()
    return _gradients(call, g, (x - mean) * rstd, rstd, weight, axes, axes, trains)


FORMULAS: dict[str, Formula] = {
    **dict.fromkeys(
        (
            *("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"),
            *("batch_norm_with_update", "_batch_norm_with_update", "_batch_norm_no_update", "cudnn_batch_norm"),
        ),
        _batch_norm,
    ),
    "native_layer_norm": _layer_norm,
    "native_group_norm": _group_norm,
    "_fused_rms_norm": _rms_norm,
    "rms_norm": _rms_norm,
    "_weight_norm_interface": _weight_norm,
    "native_layer_norm_backward": _layer_norm_backward,
    "native_group_norm_backward": _group_norm_backward,
    "native_batch_norm_backward": _batch_norm_backward,
}
