"""ESPCN: Shi et al., Real-Time Single Image and Video Super-Resolution …, 2016, arXiv:1609.05158.

Channels become pixels (`PixelShuffle`), so that the sizes of the output are multiples of the input's.
"""

import torch
from pictures import photo
from torch import Tensor, nn

from pytest_modelconform import Case, generic_weights


class ESPCN(nn.Module):
    """Brightness (batch, 1, height, width) → the same picture, three times as high and as wide."""

    def __init__(self, upscale: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, 5, padding=2), nn.Tanh(), nn.Conv2d(32, 16, 3, padding=1), nn.Tanh()
        )
        self.pixels = nn.Conv2d(16, upscale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(upscale)

    def forward(self, y: Tensor) -> Tensor:
        return self.shuffle(self.pixels(self.features(y)))


case = Case(
    model=lambda: generic_weights(ESPCN()),
    inputs={
        "pair": lambda: (torch.rand(2, 1, 12, 12),),
        "photo_wider": lambda: (photo(3, 10, 17, channels=1),),
    },
    dynamic_shapes={"y": {0: "batch", 2: "height", 3: "width"}},
    tags=("vision", "convolution"),
    paper="arXiv:1609.05158",
)
