"""The smoke model: each worker runs it before any case, so that a broken worker is told from a broken model."""

import os

import torch

from pytest_modelconform import Case, harness


class Smoke(torch.nn.Module):
    """y = 3 x + 1, exact in every floating dtype for small whole x."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([3.0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape."""
        return x * self.weight + 1.0


smoke = Case(
    model=lambda: Smoke(),
    inputs={"x": lambda: (torch.arange(1.0, 5.0).reshape(2, 2),)},
    cpp=os.path.relpath(harness.sources() / "frontend" / "smoke.cpp", os.path.dirname(__file__)),
)
