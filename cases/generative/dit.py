"""DiT: Peebles and Xie, Scalable Diffusion Models with Transformers, 2022, arXiv:2212.09748.

Norms without weights of their own, which time and class scale, shift and gate.
"""

import math

import torch
from torch import Tensor, nn

from pytest_modelconform import Case, generic_weights

SIDE, PATCH, CHANNELS, CLASSES = 8, 2, 4, 10


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return x * (1 + scale[:, None]) + shift[:, None]


class Timesteps(nn.Module):
    """Times (batch,), fractions too → embeddings (batch, width)."""

    def __init__(self, width: int, frequencies: int = 16) -> None:
        super().__init__()
        self.half = frequencies // 2
        self.mlp = nn.Sequential(nn.Linear(frequencies, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Tensor) -> Tensor:
        places = torch.arange(self.half, dtype=torch.float32, device=t.device)
        angles = t[:, None].float() * torch.exp(-math.log(10000) * places / self.half)
        return self.mlp(torch.cat([angles.cos(), angles.sin()], -1))


class Attention(nn.Module):
    """Self-attention as timm writes it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        x = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.out(x.transpose(1, 2).reshape(b, n, c))


class Block(nn.Module):
    """A transformer's block with adaLN-Zero."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.attention = Attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(approximate="tanh"), nn.Linear(2 * width, width))
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(c).chunk(6, 1)
        x = x + gate1[:, None] * self.attention(modulated(self.norm1(x), shift1, scale1))
        return x + gate2[:, None] * self.mlp(modulated(self.norm2(x), shift2, scale2))


class DiT(nn.Module):
    """Noisy latents x (batch, 4, 8, 8), times t (batch,), classes y (batch,) → noise and variance (batch, 8, 8, 8)."""

    def __init__(self, width: int = 32, heads: int = 4, depth: int = 2) -> None:
        super().__init__()
        self.patch, self.channels_out, self.no_class = PATCH, 2 * CHANNELS, CLASSES
        self.patches = nn.Conv2d(CHANNELS, width, PATCH, PATCH)
        self.positions = nn.Parameter(torch.zeros(1, (SIDE // PATCH) ** 2, width), requires_grad=False)
        self.time, self.label = Timesteps(width), nn.Embedding(CLASSES + 1, width)
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))
        self.last = nn.Linear(width, PATCH * PATCH * self.channels_out)

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        c = self.time(t) + self.label(y)
        for block in self.blocks:
            x = block(x, c)
        shift, scale = self.modulation(c).chunk(2, 1)
        return self.unpatchified(self.last(modulated(self.norm(x), shift, scale)))

    def unpatchified(self, x: Tensor) -> Tensor:
        side, p, c = int(x.shape[1] ** 0.5), self.patch, self.channels_out
        x = x.reshape(x.shape[0], side, side, p, p, c)
        x = torch.einsum("nhwpqc->nchpwq", x)
        return x.reshape(x.shape[0], c, side * p, side * p)


class Guided(nn.Module):
    """Classifier-free guidance: each image with its class and with none, in one batch."""

    def __init__(self, strength: float = 1.5) -> None:
        super().__init__()
        self.dit, self.strength = DiT(), strength

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        none = torch.full_like(y, self.dit.no_class)
        both = self.dit(torch.cat([x, x]), torch.cat([t, t]), torch.cat([y, none]))
        noise, variance = both.chunk(2, 1)
        with_class, without = noise.chunk(2)
        return torch.cat([without + self.strength * (with_class - without), variance.chunk(2)[0]], 1)


def noisy(*times: int) -> tuple[Tensor, Tensor, Tensor]:
    """A bright disk below as much noise as there is at each of the times, of 1000."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, SIDE), torch.linspace(-1, 1, SIDE), indexing="ij")
    disk = (2 - 4 * (x.square() + y.square()).sqrt()).clamp(-1, 1)
    t = torch.tensor(times)
    share = (t / 1000)[:, None, None, None]
    latents = (1 - share).sqrt() * disk + share.sqrt() * torch.randn(len(times), CHANNELS, SIDE, SIDE)
    return latents, t, torch.arange(len(times)) % CLASSES


inputs = {
    "two": lambda: (
        torch.randn(2, CHANNELS, SIDE, SIDE),
        torch.randint(0, 1000, (2,)),
        torch.randint(0, CLASSES, (2,)),
    ),
    "four_disks": lambda: noisy(20, 300, 700, 999),
}
shapes = {"x": {0: "batch"}, "t": {0: "batch"}, "y": {0: "batch"}}

dit = Case(
    model=lambda: generic_weights(DiT()),
    inputs=inputs,
    dynamic_shapes=shapes,
    tags=("generative", "vision", "transformer", "attention"),
    paper="arXiv:2212.09748",
)
dit_guided = Case(
    model=lambda: generic_weights(Guided()),
    inputs=inputs,
    dynamic_shapes=shapes,
    tags=("generative", "vision", "transformer", "attention"),
    paper="arXiv:2212.09748",
)
