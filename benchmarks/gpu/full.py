"""Cases that take a part of a GPU's memory, whatever its size: on the CPU, where their references are made, nothing."""

from __future__ import annotations

from pathlib import Path

# Scripted, since a trace would record the device. The numbers are the same on both.
_CASE = '''\
"""Takes {percent} % of the GPU's memory while it runs."""

import torch
from torch import Tensor, nn

from pytest_modelconform import Case


class Takes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([3.0]))

    def forward(self, x: Tensor) -> Tensor:
        y = x * self.weight + 1.0
        if x.is_cuda:
            taken = torch.zeros([{size}], dtype=torch.uint8, device=x.device)
            y = y + 0.0 * taken[:1].to(x.dtype)
        return y


{name} = Case(model=Takes, inputs={{"four": lambda: (torch.arange(4.0),), "two": lambda: (torch.arange(2.0) + 7,)}})
'''
# Percent of the memory by name: what two processes can't have at once, twice; and what nobody can have.
CASES = {"takes_half_and_more": 55, "takes_as_much": 56, "takes_too_much": 120}
# What each comes to.
EXPECTED = {"takes_half_and_more": "pass", "takes_as_much": "pass", "takes_too_much": "out-of-memory"}


def write(folder: Path, total: int) -> Path:
    """Write the case files for a GPU of `total` bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, percent in CASES.items():
        text = _CASE.format(name=name, percent=percent, size=max(1, total * percent // 100))
        (folder / f"{name}.py").write_text(text)
    return folder
