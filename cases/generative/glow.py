"""Glow: Kingma and Dhariwal, Generative Flow with Invertible 1x1 Convolutions, 2018, arXiv:1807.03039.

There: the log of a determinant; and back: the inverse of a matrix of weights.
"""

import math

import torch
from torch import Tensor, nn
from torch.export import Dim

from pytest_modelconform import Case, generic_weights


def squeezed(x: Tensor) -> Tensor:
    """Each 2 x 2 pixels become one: (batch, c, height, width) → (batch, 4 c, height / 2, width / 2)."""
    b, c, h, w = x.shape
    return x.view(b, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4).reshape(b, 4 * c, h // 2, w // 2)


def unsqueezed(x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    return x.view(b, c // 4, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3).reshape(b, c // 4, 2 * h, 2 * w)


class Step(nn.Module):
    """Scale each channel, mix channels by an invertible matrix, and shift and scale half of them by the others."""

    def __init__(self, channels: int, width: int = 16) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.shift = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.mix = nn.Parameter(torch.eye(channels))
        self.net = nn.Sequential(
            nn.Conv2d(channels // 2, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 1),
            nn.ReLU(),
            nn.Conv2d(width, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The next x, and the log of how much volume grows, for each of the batch."""
        pixels = x.size(2) * x.size(3)
        x = (x + self.shift) * self.log_scale.exp()
        x = nn.functional.conv2d(x, self.mix[:, :, None, None])
        growth = pixels * (self.log_scale.sum() + torch.linalg.slogdet(self.mix).logabsdet)
        kept, changed = x.chunk(2, 1)
        shift, log_scale = self.net(kept).chunk(2, 1)
        scale = torch.sigmoid(log_scale + 2)
        return torch.cat([kept, (changed + shift) * scale], 1), growth + scale.log().sum((1, 2, 3))

    def inverse(self, x: Tensor) -> Tensor:
        kept, changed = x.chunk(2, 1)
        shift, log_scale = self.net(kept).chunk(2, 1)
        x = torch.cat([kept, changed / torch.sigmoid(log_scale + 2) - shift], 1)
        x = nn.functional.conv2d(x, torch.inverse(self.mix)[:, :, None, None])
        return x * torch.exp(-self.log_scale) - self.shift


class Glow(nn.Module):
    """Two levels of two steps; half of the channels leave after the first: images (batch, 3, height, width)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.ModuleList([Step(12), Step(12)])
        self.second = nn.ModuleList([Step(24), Step(24)])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The latents of both levels, and the log-likelihood (batch,) in nats a number."""
        numbers = x[0].numel()
        x, growth = squeezed(x), x.new_zeros(x.size(0))
        for step in self.first:
            x, grown = step(x)
            growth = growth + grown
        first, x = x.chunk(2, 1)
        x = squeezed(x)
        for step in self.second:
            x, grown = step(x)
            growth = growth + grown
        normal = -0.5 * (first.square().sum((1, 2, 3)) + x.square().sum((1, 2, 3)) + numbers * math.log(2 * math.pi))
        return first, x, (normal + growth) / numbers


class Back(nn.Module):
    """The same net, from the latents to the images."""

    def __init__(self) -> None:
        super().__init__()
        self.glow = Glow()

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        for step in reversed(self.glow.second):
            second = step.inverse(second)
        x = torch.cat([first, unsqueezed(second)], 1)
        for step in reversed(self.glow.first):
            x = step.inverse(x)
        return unsqueezed(x)


def rotated(model: nn.Module) -> nn.Module:
    """Begins with rotations, as the paper does: a random matrix may be next to one without an inverse."""
    for module in model.modules():
        if isinstance(module, Step):
            module.mix.data = torch.linalg.qr(module.mix.data).Q + 0.05 * module.mix.data
    return model


def waves(batch: int, height: int, width: int) -> Tensor:
    """Images of slanted waves, of another colour each, between -0.5 and 0.5."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    phase = torch.arange(3)[:, None, None] + torch.arange(batch)[:, None, None, None]
    return 0.5 * ((0.4 * x + 0.7 * y) + phase).sin()


# Each level halves the sides.
HEIGHT, WIDTH = Dim("quarter_height"), Dim("quarter_width")

glow = Case(
    model=lambda: rotated(generic_weights(Glow())),
    inputs={"two": lambda: (torch.rand(2, 3, 8, 12) - 0.5,), "three_waves": lambda: (waves(3, 12, 8),)},
    dynamic_shapes={"x": {0: "batch", 2: 4 * HEIGHT, 3: 4 * WIDTH}},
    tags=("generative", "vision", "inverse"),
    paper="arXiv:1807.03039",
)
glow_back = Case(
    model=lambda: rotated(generic_weights(Back())),
    inputs={
        "two": lambda: (torch.randn(2, 6, 4, 6), torch.randn(2, 24, 2, 3)),
        "three_cool": lambda: (0.5 * torch.randn(3, 6, 6, 4), 0.5 * torch.randn(3, 24, 3, 2)),
    },
    dynamic_shapes={
        "first": {0: "batch", 2: 2 * HEIGHT, 3: 2 * WIDTH},
        "second": {0: "batch", 2: HEIGHT, 3: WIDTH},
    },
    tags=("generative", "vision", "inverse"),
    paper="arXiv:1807.03039",
)
