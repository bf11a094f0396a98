"""Sums of products: matrix products, convolutions, and their gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from .call import Call, Formula, Spread, Tensor, absolute, floating, summed, wide

_WHOLE_SAMPLE = 64


def _of_matrices(left: str) -> Callable[[Call], float]:
    """As many products as the left matrix has columns; one more term is what they are added to."""
    return lambda call: float(call[left].shape[-1]) + 1.0


def _of_convolution(call: Call) -> float:
    weight = call["weight"]
    kernel = math.prod(weight.shape[2:])
    if not call["transposed"]:
        return float(weight.shape[1] * kernel) + 1.0
    # Of a transposed convolution's kernel every stride-th weight meets one result.
    return weight.shape[0] / call["groups"] * kernel / math.prod(call["stride"]) + 1.0


_TERMS: dict[str, Callable[[Call], float]] = {
    "mm": _of_matrices("self"),
    "bmm": _of_matrices("self"),
    "mv": _of_matrices("self"),
    "dot": _of_matrices("self"),
    "vdot": _of_matrices("self"),
    "matmul": _of_matrices("self"),
    "addmm": _of_matrices("mat1"),
    "addmv": _of_matrices("mat"),
    "baddbmm": _of_matrices("batch1"),
    "linear": _of_matrices("input"),
    "mkldnn_linear": _of_matrices("self"),
    "convolution": _of_convolution,
    "_convolution": _of_convolution,
    "convolution_overrideable": _of_convolution,
    "deform_conv2d": lambda call: float(call["weight"][0].numel()) + 1.0,
}


def _product(terms: Callable[[Call], float]) -> Formula:
    def formula(call: Call) -> Sequence[Spread]:
        (result,) = call.results
        # Masks of finfo.min overflow, and say nothing of rounding.
        magnitude = call.with_operands(absolute).nan_to_num_(0.0, 0.0, 0.0)
        if _exact(call, magnitude):
            return [None]
        spread = summed(call, result, magnitude, terms(call))
        if (alone := _single_terms(call)) is not None:
            spread = torch.where(alone, 0.0, spread)
        return [spread]

    return formula


def _operands(call: Call) -> list[Tensor]:
    return [value for value in (*call.args, *call.kwargs.values()) if floating(value)]


def _exact(call: Call, magnitude: Tensor) -> bool:
    """Whether no order can round: whole numbers whose sums stay below 1/u."""
    return all(is_whole(value) for value in _operands(call)) and bool(
        magnitude.numel() == 0 or float(magnitude.max()) < 1.0 / call.accumulator
    )


def _single_terms(call: Call) -> Tensor | None:
    """Where a result is one of the other operand's numbers, chosen by an operand of zeros and ones; None if nowhere."""
    operands = _operands(call)
    if not any(value.numel() > 1 and is_whole(value) and float(absolute(value).max()) == 1.0 for value in operands):
        return None
    counts: Tensor = call.with_operands(lambda value: (value != 0).to(absolute(value).dtype))
    return counts <= 1.0


def is_whole(value: Tensor) -> bool:
    """Whether a tensor holds whole numbers only: a few of them are looked at first."""
    if value.is_complex():
        return False
    few = value[tuple(slice(0, _WHOLE_SAMPLE if axis == value.dim() - 1 else 2) for axis in range(value.dim()))]
    return bool((few == few.round()).all()) and bool((value == value.round()).all())


def _convolution_backward(call: Call) -> Sequence[Spread]:
    gradient, weight = call["grad_output"], call["weight"]
    magnitudes = [value for value in call.with_operands(absolute) if value is not None]
    kernel = math.prod(weight.shape[2:])
    places = gradient.numel() / gradient.shape[1]
    terms = [weight.shape[0] / call["groups"] * kernel, places, places]
    wanted = [count for count, asked in zip(terms, call["output_mask"], strict=True) if asked]
    found = zip(call.results, magnitudes, wanted, strict=True)
    return [summed(call, result, magnitude, count) for result, magnitude, count in found]


def _fused_activation(call: Call) -> Sequence[Spread]:
    """A product with an activation behind it, which keeps differences (its slope is at most about one)."""
    magnitude = wide(absolute(call["self"]) + absolute(call["mat1"]) @ absolute(call["mat2"]))
    return [magnitude * (call.unit * max(0.5, call["mat1"].shape[-1] ** 0.5 / 3.0))]


def _distance(call: Call) -> Sequence[Spread]:
    """Euclidean distances: by differences, or (as eager's of many rows) from |a|² + |b|² - 2 a·b, which cancels."""
    (result,) = call.results
    one, two = wide(call["x1"]), wide(call["x2"])
    n, size = one.shape[-1], wide(result)
    spread = size * ((2.0 + n**0.5 / 6.0) * call.unit)
    if call.name == "_euclidean_dist":
        squares = one.square().sum(-1)[..., :, None] + two.square().sum(-1)[..., None, :]
        # d = √(d²): what moves d² by ε moves d by ε / 2d, and by √ε at most.
        moved = squares * (call.accumulator * max(0.5, n**0.5 / 3.0))
        spread = spread + torch.minimum(moved / (2.0 * size).clamp_min(torch.finfo(size.dtype).tiny), moved.sqrt())
    return [spread]


def _roi_align(call: Call) -> Sequence[Spread]:
    """Means of bilinear samples: weights from coordinates up to the image's size, that is rounded in each."""
    image = call.args[0]
    magnitude = wide(call.func(absolute(image), *call.args[1:], **call.kwargs))
    return [magnitude * (call.unit * (1.0 + max(image.shape[-2:]) / 4.0))]


FORMULAS: dict[str, Formula] = {
    **{name: _product(terms) for name, terms in _TERMS.items()},
    "convolution_backward": _convolution_backward,
    "_addmm_activation": _fused_activation,
    "_cdist_forward": _distance,
    "_euclidean_dist": _distance,
    "roi_align": _roi_align,
}
