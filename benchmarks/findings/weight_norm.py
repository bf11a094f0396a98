"""Inductor takes weight norm of a vector for a norm over the whole vector: pytorch/pytorch#191749.

With one dimension and `dim=0` each element is divided by its own length, which leaves its sign.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from pytest_modelconform import Case, generic_weights


class Gain(nn.Module):
    """One learnt factor a channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


def build() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), weight_norm(Gain(16), "scale", dim=0), nn.Linear(16, 3))


weight_norm_vector = Case(
    model=lambda: generic_weights(build()),
    inputs={"four": lambda: (torch.randn(4, 6),), "seven": lambda: (torch.randn(7, 6),)},
    dynamic_shapes={"input": {0: "batch"}},
)
