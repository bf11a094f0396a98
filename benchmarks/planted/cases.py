"""Two small models for faults: of attention, and of residual blocks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pytest_modelconform import Case, generic_weights


class Block(nn.Module):
    """Attention with four heads, and an MLP, norms first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        heads = (self.qkv(self.norm1(x))).unflatten(2, (3, 4, -1)).permute(2, 0, 3, 1, 4)
        seen = nn.functional.scaled_dot_product_attention(heads[0], heads[1], heads[2], attn_mask=mask)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        y: Tensor = x + self.down(nn.functional.gelu(self.up(self.norm2(x))))
        return y


class Attention(nn.Module):
    """Tokens (batch, 6) → (batch, 5)."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(50, 16), nn.Parameter(torch.randn(6, 16))
        self.blocks = nn.ModuleList(Block(16) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.words(tokens) + self.places
        mask = torch.ones(6, 6, dtype=torch.bool, device=x.device).tril()
        for block in self.blocks:
            x = block(x, mask)
        return torch.log_softmax(self.head(self.norm(x).mean(1)), -1)


class Residual(nn.Module):
    """Images (batch, 3, 12, 12) → (batch, 7): what ResNet, SENet and U-Net are made of."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.first, self.second = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.norm1, self.groups = nn.BatchNorm2d(8), nn.GroupNorm(2, 8)
        self.gate, self.last = nn.Linear(8, 8), nn.Conv2d(16, 7, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        y = torch.relu(self.norm1(self.first(x)))
        x = torch.relu(x + self.groups(self.second(y)))
        x = x * torch.sigmoid(self.gate(x.mean((2, 3))))[:, :, None, None]
        small = nn.functional.silu(nn.functional.max_pool2d(x, 2))
        wide = nn.functional.interpolate(small, scale_factor=2.0, mode="bilinear", align_corners=False)
        found: Tensor = self.last(torch.cat([x, wide], 1))
        return found.mean((2, 3))


attention = Case(
    model=lambda: generic_weights(Attention()),
    inputs={"three": lambda: (torch.randint(0, 50, (3, 6)),), "two": lambda: (torch.randint(0, 50, (2, 6)),)},
    dynamic_shapes={"tokens": {0: "batch"}},
)
residual = Case(
    model=lambda: generic_weights(Residual()),
    inputs={"two": lambda: (torch.rand(2, 3, 12, 12),), "three": lambda: (torch.rand(3, 3, 12, 12),)},
    dynamic_shapes={"x": {0: "batch"}},
)
