"""Places, elements and numbers in the words of a message."""

from __future__ import annotations

import math

import numpy as np

from .groups import Array, Layout
from .numbers import is_complex, layout_of
from .reference import Reference

OUTPUT = "output"  # how the names of outputs begin, which an index may follow; a parameter's name is a phrase
_DIGITS = 3


def place(position: int, reference: Reference) -> tuple[list[int], int | None]:
    """Return (index in the tensor, which part of a complex number) of a position in the flattened pairs or numbers."""
    index = [int(i) for i in np.unravel_index(position, layout_of(reference.shape, reference.dtype).shape)]
    return (index[:-1], index[-1]) if is_complex(reference.dtype) else (index, None)


def model_values(reference: Reference, eager: bool) -> Array:
    """The model's numbers that an element is shown beside: eager's where nothing else is compared with."""
    return reference.eager if eager or reference.r is None else reference.r


def group_words(layout: Layout, group: int, pairs: bool, where: str) -> str:
    """Say where a group is, as one would index it: " in output[:, 3]"; "" for the whole tensor.

    pairs: whether the last axis is that of real and imaginary parts. where: the tensor, as messages name it.
    """
    name = layout.name(group)
    if name is None:
        return ""
    axis, index = name
    if pairs and axis == len(layout.shape) - 1:
        return f" in the {('real', 'imaginary')[index]} parts"
    return f" in {where if where.startswith(OUTPUT) else ''}[{':, ' * axis}{index}]"


def element_words(position: int, values: Array, reference: Reference, where: str, eager: bool = False) -> str:
    """Name an element, its value and the reference's (or eager's): "output[0, 3] is 0.5, PyTorch gives 0.25".

    Numbers have as many digits as it takes to tell them apart, three at least.
    """
    index, which = place(position, reference)
    text = where
    if index:
        text = f"{where}{index}" if where.startswith(OUTPUT) else f"{where}, element {index},"
    part = "" if which is None else ("the real part of ", "the imaginary part of ")[which]
    model = model_values(reference, eager)
    if reference.kind == "exact":
        mine, theirs = str(values[position]), str(model[position])
    else:
        mine, theirs = told_apart(float(values[position]), float(model[position]), reference.format.precision)
    return f"{part}{text} is {mine}, {reference.source} gives {theirs}"


def told_apart(one: float, two: float, precision: int) -> tuple[str, str]:
    """Write two numbers of so many bits with the fewest digits that show the difference, and one more."""
    most = math.ceil(precision * math.log10(2)) + 1
    for digits in range(_DIGITS, most):
        if f"{one:.{digits}g}" != f"{two:.{digits}g}":
            most = digits if digits == _DIGITS else digits + 1
            break
    return f"{one:.{most}g}", f"{two:.{most}g}"


def bits_words(reference: Reference, group: int, loss: float, allowed: float, where: str) -> str:
    """Say how many of a group's significant bits are right: "9.8 of 22.9 significant bits agree (1.5 may be lost)".

    loss: log2 of the group's error over its noise, more than `allowed`. Significant is what faithful arithmetic keeps.
    """
    inside = group_words(layout_of(reference.shape, reference.dtype), group, is_complex(reference.dtype), where)
    lost, total = beyond(loss, allowed), significant(reference, group)
    if total < 1.0:
        return f"the error{inside} is 2^{lost} times that of faithful arithmetic (2^{allowed:g} may be)"
    whose = "bfloat16's " if reference.reduced else ""
    kept = float(f"{total:.1f}") - float(lost)
    said = f"{kept:.{len(lost.partition('.')[2])}f} of {whose}{total:.1f}"
    if kept < 1.0:
        said = f"none of {whose}{math.floor(total)}"
    return f"{said} significant bits agree{inside} ({allowed:g} may be lost)"


def few_bits_words(reference: Reference, group: int, bits: float, fewest: float, least: float, where: str) -> str:
    """Say that a group has fewer right bits than each must: "5.1 bits are right, but -1.0 in output[:, 4] (…)"."""
    inside = group_words(layout_of(reference.shape, reference.dtype), group, is_complex(reference.dtype), where)
    return f"{bits:.1f} bits are right, but {fewest:.1f}{inside} (at least {least:g} in each slice)"


def significant(reference: Reference, group: int = 0) -> float:
    """The bits of a group that faithful arithmetic keeps, log2(S / N); -inf for a group of zeros, or without noise."""
    if reference.signal is None or reference.noise is None or not reference.signal[group] > 0.0:
        return -math.inf
    return math.log2(float(reference.signal[group])) - math.log2(float(reference.noise[group]))


def beyond(value: float, limit: float) -> str:
    """Write a number that is over a limit, to a tenth, or to as many digits as it takes to look like more than that."""
    for digits in range(1, 6):
        if float(text := f"{value:.{digits}f}") > limit:
            return text
    return f"{value:.6f}"


def up(value: float) -> float:
    """Round up to a tenth, so that it is enough."""
    return math.ceil(value * 10 + 1e-9) / 10


def pair(rtol: float, atol: float) -> str:
    """Write both as in `Tolerance(...)`, where one that isn't given is 0."""
    return ", ".join(f"{name}={value:g}" for name, value in (("rtol", rtol), ("atol", atol)) if value) or "rtol=0"


def digits_up(value: float) -> str:
    """Round up to three digits, so that it is enough."""
    if value <= 0.0 or not math.isfinite(value):
        return "0"
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    return f"{math.ceil(value / unit * (1 + 1e-12)) * unit:.3g}" if unit > 0.0 else f"{value:.3g}"
