"""Places, elements and numbers in the words of a message."""

from __future__ import annotations

import math

import numpy as np

from .groups import Array, Layout
from .numbers import is_complex, layout_of
from .reference import Reference


def place(position: int, reference: Reference) -> tuple[list[int], int | None]:
    """Return (index in the tensor, which part of a complex number) of a position in the flattened pairs or numbers."""
    index = [int(i) for i in np.unravel_index(position, layout_of(reference.shape, reference.dtype).shape)]
    return (index[:-1], index[-1]) if is_complex(reference.dtype) else (index, None)


def model_values(reference: Reference, eager: bool) -> Array:
    """The model's numbers that an element is shown beside: eager's where nothing else is compared with."""
    return reference.eager if eager or reference.r is None else reference.r


def group_words(layout: Layout, group: int, pairs: bool) -> str:
    """Name a group: "in row 3 of axis 1". pairs: whether the last axis is that of real and imaginary parts."""
    name = layout.name(group)
    if name is None:
        return "over the whole tensor"
    axis, index = name
    if pairs and axis == len(layout.shape) - 1:
        return f"in the {('real', 'imaginary')[index]} parts"
    return f"in row {index} of axis {axis}"


def element_words(position: int, values: Array, reference: Reference, eager: bool = False) -> str:
    """Name an element, its value and the reference's (or eager's): "element [0, 3]: 0.5, the model gives 0.25"."""
    index, which = place(position, reference)
    part = "" if which is None else (" (real part)", " (imaginary part)")[which]
    model = model_values(reference, eager)
    digits = 17 if reference.kind == "exact" else math.ceil(reference.format.precision * math.log10(2)) + 1

    def text(value: object) -> str:
        return str(value) if reference.kind == "exact" else f"{float(value):.{digits}g}"  # type: ignore[arg-type]

    return f"element {index}{part}: {text(values[position])}, the model gives {text(model[position])}"


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
