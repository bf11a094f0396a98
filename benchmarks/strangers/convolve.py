"""Convolutions and pools as matrix products and sums over windows."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from .accumulate import Order, products, total


@dataclass(frozen=True)
class Convolution:
    """The arguments of aten.convolution, lists as long as there are spatial dimensions."""

    values: Tensor
    weight: Tensor
    bias: Tensor | None
    stride: Sequence[int]
    padding: Sequence[int]
    dilation: Sequence[int]
    transposed: bool
    output_padding: Sequence[int]
    groups: int


def full(lengths: Sequence[int], dimensions: int) -> list[int]:
    """A list of an operator's argument as long as there are dimensions; one entry stands for all."""
    return list(lengths) if len(lengths) == dimensions else [lengths[0]] * dimensions


def windows(values: Tensor, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> Tensor:
    """A view (batch, channels, *output, *kernel) of values (batch, channels, *spatial) that are padded already."""
    spatial = values.shape[2:]
    count = len(spatial)
    output = [(spatial[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in range(count)]
    steps = values.stride()[2:]
    strides = [step * stride[i] for i, step in enumerate(steps)], [step * dilation[i] for i, step in enumerate(steps)]
    return values.as_strided(
        (*values.shape[:2], *output, *kernel),
        (*values.stride()[:2], *strides[0], *strides[1]),
        values.storage_offset(),
    )


def padded(values: Tensor, padding: Sequence[int], after: Sequence[int] = ()) -> Tensor:
    """With zeros around; `after` as many more behind the last element."""
    more = after or [0] * len(padding)
    flat = [amount for i in reversed(range(len(padding))) for amount in (padding[i], padding[i] + more[i])]
    return torch.nn.functional.pad(values, flat) if any(flat) else values


def direct(given: Convolution) -> Convolution:
    """A transposed convolution as the direct one of values with zeros between them, with the kernel turned round."""
    count = given.values.dim() - 2
    batch, channels, *spatial = given.values.shape
    spread = given.values.new_zeros(batch, channels, *[(spatial[i] - 1) * given.stride[i] + 1 for i in range(count)])
    spread[_index(slice(None, None, step) for step in given.stride)] = given.values
    kernel = given.weight.shape[2:]
    around = [given.dilation[i] * (kernel[i] - 1) - given.padding[i] for i in range(count)]
    values = padded(spread, around, given.output_padding)
    turned = given.weight.flip(list(range(2, 2 + count)))
    grouped = turned.reshape(given.groups, channels // given.groups, -1, *kernel).transpose(1, 2)
    weight = grouped.reshape(-1, channels // given.groups, *kernel)
    nothing = [0] * count
    return replace(
        given,
        values=values,
        weight=weight,
        stride=[1] * count,
        padding=nothing,
        transposed=False,
        output_padding=nothing,
    )


def convolved(given: Convolution, order: Order, channels_last: bool) -> Tensor:
    """The convolution, each output's products added in that order. channels_last: channels vary fastest among them."""
    if given.transposed:
        given = direct(given)
    count = given.values.dim() - 2
    groups, kernel = given.groups, given.weight.shape[2:]
    found = windows(padded(given.values, given.padding), kernel, given.stride, given.dilation)
    batch, channels = found.shape[:2]
    output = found.shape[2 : 2 + count]
    split = found.reshape(batch, groups, channels // groups, *output, *kernel)
    spatial, inner = list(range(3, 3 + count)), list(range(3 + count, 3 + 2 * count))
    weight = given.weight.reshape(groups, -1, channels // groups, *kernel)
    if channels_last:
        columns = split.permute(0, 1, *inner, 2, *spatial)
        weight = weight.movedim(2, -1)
    else:
        columns = split.permute(0, 1, 2, *inner, *spatial)
    products_each = weight.shape[2:].numel()
    columns = columns.reshape(batch * groups, products_each, -1)
    rows = weight.reshape(groups, -1, products_each)
    start = None if given.bias is None else given.bias.reshape(groups, -1, 1)
    return products(rows, columns, order, start).reshape(batch, -1, *output)


def pooled(
    values: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    output: Sequence[int],
    order: Order,
) -> Tensor:
    """Sums over windows, as many as the output has: beyond the last element there are zeros."""
    count = len(kernel)
    spatial = values.shape[2:]
    after = [max(0, (output[i] - 1) * stride[i] + kernel[i] - spatial[i] - 2 * padding[i]) for i in range(count)]
    found = windows(padded(values, padding, after), kernel, stride, [1] * count)
    found = found[(slice(None), slice(None), *[slice(length) for length in output])]
    return total(found, list(range(2 + count, 2 + 2 * count)), order)


def adaptively_pooled(values: Tensor, output: Sequence[int], order: Order) -> Tensor:
    """Means over the windows of an adaptive pool, as many as the output has."""
    count = len(output)
    spatial = values.shape[-count:]
    dims = list(range(values.dim() - count, values.dim()))
    result = values.new_empty(*values.shape[:-count], *output)
    for index in itertools.product(*map(range, output)):
        window = [
            slice(i * length // size, -(-(i + 1) * length // size))
            for i, length, size in zip(index, spatial, output, strict=True)
        ]
        part = values[_index(window)]
        size = part.shape[-count:].numel()
        result[_index(index)] = total(part, dims, order) / size
    return result


def _index(last: Iterable[slice | int]) -> tuple[Any, ...]:
    """What selects along the last dimensions."""
    return (..., *last)
