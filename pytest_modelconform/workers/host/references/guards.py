"""Inputs with other numbers around them in memory, so that a model that reads past them gives other outputs.

A generated input set may hold an index that its smaller tensors don't have, as a region of interest that names the
second image of a batch of one. Kernels that don't check such an index return what lies there: no runtime can be blamed
for that.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._pytree import tree_map

_MOST = 1 << 20  # numbers, on each side


def guarded(inputs: Any, seed: int) -> Any:
    """A copy of a nest in which each tensor of floating numbers lies amid random ones, with the strides that it had."""
    generator = torch.Generator().manual_seed(seed)

    def amid(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or not value.is_floating_point() or not value.numel():
            return value
        spread = [(length - 1) * stride for length, stride in zip(value.shape, value.stride(), strict=True)]
        room = sum(spread) + 1
        around = min(room, _MOST)
        memory = torch.randn(room + 2 * around, generator=generator).to(value.dtype)
        found = memory.as_strided(value.shape, value.stride(), around)
        return found.copy_(value)

    return tree_map(amid, inputs)
