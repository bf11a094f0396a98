"""Deformable convolution: Zhu et al., Deformable ConvNets v2: More Deformable, Better Results, 2018, arXiv:1811.11168.

Each place of a map says where the convolution there samples (offsets) and how much that counts (a mask). The operator
is torchvision's.
"""

import torch
from pictures import photo
from torch import Tensor, nn
from torch.export import Dim
from torchvision.ops import DeformConv2d

from pytest_modelconform import Case, generic_weights


class Modulated(nn.Module):
    """A deformable convolution with what predicts its offsets and its mask."""

    def __init__(self, c_in: int, c_out: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.points = groups * kernel * kernel
        self.predict = nn.Conv2d(c_in, 3 * self.points, kernel, stride=stride, padding=kernel // 2)
        self.convolve = DeformConv2d(c_in, c_out, kernel, stride=stride, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        offset, mask = self.predict(x).split([2 * self.points, self.points], dim=1)
        return self.convolve(x, offset, mask.sigmoid())


class Net(nn.Module):
    """Image (batch, 3, height, width) → scores (batch, classes)."""

    def __init__(self, classes: int = 20) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.first, self.norm1 = Modulated(8, 16), nn.BatchNorm2d(16)
        self.second, self.norm2 = Modulated(16, 16, stride=2, groups=2), nn.BatchNorm2d(16)
        self.scores = nn.Linear(16, classes)

    def forward(self, image: Tensor) -> Tensor:
        x = self.norm1(self.first(self.stem(image))).relu()
        x = self.norm2(self.second(x)).relu()
        return self.scores(x.mean((2, 3)))


case = Case(
    model=lambda: generic_weights(Net()),
    inputs={
        "pair": lambda: (torch.rand(2, 3, 32, 32),),
        "photo_wider": lambda: (photo(1, 32, 48),),
    },
    dynamic_shapes={"image": {0: "batch", 2: Dim("height", min=5), 3: Dim("width", min=5)}},
    tags=("vision", "convolution", "deformable"),
    paper="arXiv:1811.11168",
    requires=("torchvision",),
)
