"""DDPM's U-Net: Ho et al., Denoising Diffusion Probabilistic Models, 2020, arXiv:2006.11239."""

import math

import torch
from torch import Tensor, nn
from torch.export import Dim

from pytest_modelconform import Case, generic_weights


class Block(nn.Module):
    """A residual block conditioned on the timestep's embedding."""

    def __init__(self, c_in: int, c_out: int, c_time: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(4, c_in), nn.Conv2d(c_in, c_out, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(4, c_out), nn.Conv2d(c_out, c_out, 3, padding=1)
        self.time = nn.Linear(c_time, c_out)
        self.skip = nn.Conv2d(c_in, c_out, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        h = self.conv1(nn.functional.silu(self.norm1(x))) + self.time(nn.functional.silu(time))[:, :, None, None]
        return self.skip(x) + self.conv2(nn.functional.silu(self.norm2(h)))


class Attention(nn.Module):
    """One head of self-attention over the pixels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.qkv = nn.GroupNorm(4, channels), nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, 2)
        return x + self.out(nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape_as(x))


class UNet(nn.Module):
    """Noisy image x (batch, 3, height, width), timestep t (batch,) → the noise in x."""

    frequencies: Tensor

    def __init__(self, c: int = 32) -> None:
        super().__init__()
        frequencies = torch.exp(torch.arange(c // 2) * (-math.log(10000.0) / (c // 2)))
        self.register_buffer("frequencies", frequencies)  # sinusoidal positions: arXiv:1706.03762
        self.time = nn.Sequential(nn.Linear(c, 2 * c), nn.SiLU(), nn.Linear(2 * c, 2 * c))
        self.first = nn.Conv2d(3, c, 3, padding=1)
        self.down1, self.shrink = Block(c, c, 2 * c), nn.Conv2d(c, c, 3, stride=2, padding=1)
        self.down2, self.attention = Block(c, 2 * c, 2 * c), Attention(2 * c)
        self.middle = Block(2 * c, 2 * c, 2 * c)
        self.up2, self.grow = Block(4 * c, c, 2 * c), nn.ConvTranspose2d(c, c, 4, stride=2, padding=1)
        self.up1 = Block(2 * c, c, 2 * c)
        self.norm, self.last = nn.GroupNorm(4, c), nn.Conv2d(c, 3, 3, padding=1)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        angles = t[:, None] * self.frequencies
        time = self.time(torch.cat([angles.sin(), angles.cos()], 1))
        h1 = self.down1(self.first(x), time)
        h2 = self.attention(self.down2(self.shrink(h1), time))
        h = self.up2(torch.cat([self.middle(h2, time), h2], 1), time)
        h = self.up1(torch.cat([self.grow(h), h1], 1), time)
        return self.last(nn.functional.silu(self.norm(h)))


case = Case(
    model=lambda: generic_weights(UNet()),
    inputs={
        "pair": lambda: (torch.randn(2, 3, 16, 16), torch.randint(0, 1000, (2,))),
        "three_wider": lambda: (torch.randn(3, 3, 16, 24), torch.randint(0, 1000, (3,))),
    },
    # Even sizes: each map is halved on the way down and must fit its skip connection on the way up.
    dynamic_shapes={"x": {0: "batch", 2: 2 * Dim("half_height"), 3: 2 * Dim("half_width")}, "t": {0: "batch"}},
    tags=("generative", "vision"),
    paper="arXiv:2006.11239",
)
