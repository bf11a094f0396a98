"""The MLP of a vision transformer: Dosovitskiy et al., An Image is Worth 16x16 Words, 2020, arXiv:2010.11929."""

import torch
from torch import Tensor, nn

from pytest_modelconform import Case, Train, generic_weights


class Mlp(nn.Module):
    """x (…, inputs) → (…, outputs)."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(inputs, hidden)
        self.fc2 = nn.Linear(hidden, outputs)
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.fc2(self.drop(nn.functional.gelu(self.fc1(x)))))


case = Case(
    model=lambda: generic_weights(Mlp(24, 96, 24)),
    inputs={
        "two": lambda: (torch.randn(2, 9, 24),),
        "one_longer": lambda: (torch.randn(1, 16, 24),),
    },
    dynamic_shapes={"x": {0: "batch", 1: "length"}},
    dtypes=("float32", "float64"),
    cpp="mlp.cpp",
    train=Train(loss="mse_loss", optimizer="adam", lr=0.01, steps=6, batch_size=1),
    tags=("plain",),
    paper="arXiv:2010.11929",
)
