"""deepCR: Zhang and Bloom, deepCR: Cosmic Ray Rejection with Deep Learning, 2020, arXiv:1907.09500.

A trained U-Net with weight norms, which finds cosmic rays in images of the Hubble telescope.
"""

import math

import torch
from torch import Tensor, nn
from torch.export import Dim
from wheels import file_of, unopened

from pytest_modelconform import Case

with unopened("deepCR"):  # It trains and plots.
    from deepCR.unet import UNet2Sigmoid, WrappedModel


def model() -> nn.Module:
    net = WrappedModel(UNet2Sigmoid(1, 1, 32))
    # The weights lie in a package of their own.
    net.load_state_dict(torch.load(file_of("learned_models", "mask/WFC3-UVIS.pth"), map_location="cpu"))
    return net.module


def sky(batch: int, height: int, width: int) -> Tensor:
    """Stars, noise, and rays of one pixel's width, (batch, 1, height, width)."""
    y, x = torch.arange(height)[:, None], torch.arange(width)
    image = 0.05 * torch.randn(batch, height, width)
    for star in range(6):
        row, column = (13 * star + 5) % height, (29 * star + 7) % width
        image += 3 * torch.exp(-((y - row) ** 2 + (x - column) ** 2) / 5)
    for ray in range(batch):
        angle = math.pi * (0.1 + ray / batch)
        distance = (y - height / 2) * math.cos(angle) - (x - width / 2) * math.sin(angle)
        image[ray] += 6 * (distance.abs() < 0.6)
    return image[:, None]


deepcr = Case(
    model=model,
    inputs={"sky": lambda: (sky(2, 32, 24),), "noise": lambda: (torch.randn(1, 1, 16, 40),)},
    # The image is halved once and doubled again.
    dynamic_shapes={"x": {0: "batch", 2: 2 * Dim("height"), 3: 2 * Dim("width")}},
    tags=("trained", "science", "segmentation", "convolution", "weight_norm"),
    paper="arXiv:1907.09500",
    requires=("deepCR",),
)
