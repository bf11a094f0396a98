"""Convolutions with batch norms: Ioffe and Szegedy, Batch Normalization, 2015, arXiv:1502.03167."""

import torch
from torch import Tensor, nn
from torch.export import Dim

from pytest_modelconform import Case, Train, generic_weights


class ConvNet(nn.Module):
    """x (batch, 3, height, width) → (batch, classes)."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        # Without a bias, since the norm would subtract it again.
        self.conv1 = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, 2 * channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(2 * channels)
        self.fc = nn.Linear(2 * channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.max_pool2d(torch.relu(self.norm1(self.conv1(x))), 2)
        x = torch.relu(self.norm2(self.conv2(x)))
        return self.fc(x.mean((2, 3)))


case = Case(
    model=lambda: generic_weights(ConvNet(16, 10)),
    inputs={
        "two": lambda: (torch.rand(2, 3, 16, 16),),
        "three_wider": lambda: (torch.rand(3, 3, 12, 20),),
    },
    # Pooling halves each side, and torch.export takes another branch for sizes of 1.
    dynamic_shapes={"x": {0: "batch", 2: Dim("height", min=4), 3: Dim("width", min=4)}},
    dtypes=("float32", "float16"),
    cpp="convnet.cpp",
    train=Train(
        loss="cross_entropy",
        optimizer="sgd",
        lr=0.05,
        momentum=0.9,
        steps=6,
        batch_size=4,
        data=lambda: (torch.rand(8, 3, 16, 16), torch.randint(0, 10, (8,))),
    ),
    tags=("plain",),
    paper="arXiv:1502.03167",
)
