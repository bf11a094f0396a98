"""Spatial transformer: Jaderberg et al., Spatial Transformer Networks, 2015, arXiv:1506.02025.

A network finds an affine map for each image, and samples it on the grid that results: `affine_grid`, `grid_sample`.
"""

import torch
from pictures import photo
from torch import Tensor, nn
from torch.export import Dim

from pytest_modelconform import Case, generic_weights


class SpatialTransformer(nn.Module):
    """Images (batch, channels, height, width) → scores (batch, classes), the straightened images."""

    def __init__(self, channels: int = 1, classes: int = 10) -> None:
        super().__init__()
        self.localise = nn.Sequential(
            nn.Conv2d(channels, 8, 7),
            nn.MaxPool2d(2, stride=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(8, 10, 5),
            nn.AdaptiveMaxPool2d(1),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(10, 32),
            nn.ReLU(inplace=True),
        )
        self.theta = nn.Linear(32, 6)
        self.classify = nn.Sequential(
            nn.Conv2d(channels, 10, 5), nn.MaxPool2d(2), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.scores = nn.Linear(10, classes)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        theta = self.theta(self.localise(image)).view(-1, 2, 3)
        grid = nn.functional.affine_grid(theta, list(image.size()), align_corners=False)
        straight = nn.functional.grid_sample(image, grid, align_corners=False)
        return self.scores(self.classify(straight)), straight


def model() -> SpatialTransformer:
    net = generic_weights(SpatialTransformer())
    # As in the paper, it begins at the identity; a little off, and with some of the samples outside.
    net.theta.weight.data *= 0.2
    net.theta.bias.data = torch.tensor([0.9, 0.2, 0.1, -0.15, 1.1, -0.05])
    return net


case = Case(
    model=model,
    inputs={
        "pair": lambda: (torch.rand(2, 1, 28, 28),),
        "photos_wider": lambda: (photo(3, 28, 36, channels=1),),
    },
    dynamic_shapes={"image": {0: "batch", 2: Dim("height", min=18), 3: Dim("width", min=18)}},
    tags=("vision", "interpolation"),
    paper="arXiv:1506.02025",
)
