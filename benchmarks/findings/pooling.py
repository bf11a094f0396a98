"""oneDNN's average pooling divides by the whole window where `ceil_mode` lets it hang over the edge."""

import torch
from torch import Tensor, nn

from pytest_modelconform import Case, generic_weights


class Pooled(nn.Module):
    """x (batch, 3, 17, 22) → (batch, 4, 9, 12)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.pool = nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True)
        self.last = nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.pool(torch.relu(self.first(x))))
        return y


pooled = Case(
    model=lambda: generic_weights(Pooled()),
    inputs={"pair": lambda: (torch.rand(2, 3, 17, 22),), "three": lambda: (torch.rand(3, 3, 17, 22),)},
    dynamic_shapes={"x": {0: "batch"}},
)
