"""U-Net: Ronneberger et al., Convolutional Networks for Biomedical Image Segmentation, 2015, arXiv:1505.04597.

Skip connections between maps whose sizes differ by a pixel when a side is odd: what comes up is padded to fit.
"""

import torch
from pictures import photo
from torch import Tensor, nn
from torch.export import Dim

from pytest_modelconform import Case, generic_weights


class Twice(nn.Sequential):
    """Two convolutions."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__(
            nn.Conv2d(c_in, c_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(c_out),
            nn.ReLU(inplace=True),
            nn.Conv2d(c_out, c_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(c_out),
            nn.ReLU(inplace=True),
        )


class Up(nn.Module):
    """Doubles a map and joins it with the one of that size on the way down."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.grow = nn.ConvTranspose2d(c_in, c_out, 2, stride=2)
        self.both = Twice(2 * c_out, c_out)

    def forward(self, low: Tensor, skip: Tensor) -> Tensor:
        x = self.grow(low)
        rows, columns = skip.size(2) - x.size(2), skip.size(3) - x.size(3)
        x = nn.functional.pad(x, [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2])
        return self.both(torch.cat([skip, x], 1))


class UNet(nn.Module):
    """Image (batch, 3, height, width) → a score of each class for each pixel (batch, classes, height, width)."""

    def __init__(self, c: int = 8, classes: int = 4) -> None:
        super().__init__()
        self.first = Twice(3, c)
        self.down1 = nn.Sequential(nn.MaxPool2d(2), Twice(c, 2 * c))
        self.down2 = nn.Sequential(nn.MaxPool2d(2), Twice(2 * c, 4 * c))
        self.up2, self.up1 = Up(4 * c, 2 * c), Up(2 * c, c)
        self.last = nn.Conv2d(c, classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        x1 = self.first(image)
        x2 = self.down1(x1)
        x3 = self.down2(x2)
        return self.last(self.up1(self.up2(x3, x2), x1))


case = Case(
    model=lambda: generic_weights(UNet()),
    inputs={
        "pair": lambda: (torch.rand(2, 3, 32, 32),),
        "photo_odd": lambda: (photo(1, 29, 43),),
    },
    dynamic_shapes={"image": {0: "batch", 2: Dim("height", min=8), 3: Dim("width", min=8)}},
    tags=("vision", "segmentation", "convolution"),
    paper="arXiv:1505.04597",
)
