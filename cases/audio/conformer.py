"""Conformer: Gulati et al., Convolution-augmented Transformer for Speech Recognition, 2020, arXiv:2005.08100.

Attention with relative positions, shifted by padding and reshaping (Dai et al., Transformer-XL, 2019,
arXiv:1901.02860), beside gated depthwise convolutions; behind strides, with a mask that is computed from lengths.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from pytest_modelconform import Case, generic_weights

BANDS, WIDTH, HEADS, TOKENS = 20, 32, 4, 28


class FeedForward(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 2 * WIDTH), nn.SiLU(), nn.Linear(2 * WIDTH, WIDTH))


class RelativeAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.heads, self.scale = HEADS, math.sqrt(WIDTH // HEADS)
        self.norm = nn.LayerNorm(WIDTH)
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.position = nn.Linear(WIDTH, WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.bias_u = nn.Parameter(torch.zeros(HEADS, WIDTH // HEADS))
        self.bias_v = nn.Parameter(torch.zeros(HEADS, WIDTH // HEADS))

    def forward(self, x: Tensor, positions: Tensor, hidden: Tensor) -> Tensor:
        """Takes x (batch, frames, WIDTH), positions (2 * frames - 1, WIDTH), hidden (batch, frames): padding."""
        x = self.norm(x)
        batch, frames, width = x.shape
        query = self.query(x).view(batch, frames, self.heads, -1)
        key = self.key(x).view(batch, frames, self.heads, -1).permute(0, 2, 3, 1)
        value = self.value(x).view(batch, frames, self.heads, -1).transpose(1, 2)
        where = self.position(positions).view(-1, self.heads, width // self.heads).permute(1, 2, 0)
        content = (query + self.bias_u).transpose(1, 2) @ key
        place = self.shifted((query + self.bias_v).transpose(1, 2) @ where)[..., :frames]
        scores = (content + place) / self.scale
        scores = scores.masked_fill(hidden[:, None, None, :], -1e4)
        mixed = (scores.softmax(-1) @ value).transpose(1, 2).reshape(batch, frames, width)
        return self.out(mixed)

    @staticmethod
    def shifted(scores: Tensor) -> Tensor:
        """From (…, query, distance) to (…, query, key): each row one place further to the left than the row below."""
        batch, heads, frames, distances = scores.shape
        scores = functional.pad(scores, (1, 0)).view(batch, heads, distances + 1, frames)
        return scores[:, :, 1:].view(batch, heads, frames, distances)


class Convolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.gated = nn.Conv1d(WIDTH, 2 * WIDTH, 1)
        self.depthwise = nn.Conv1d(WIDTH, WIDTH, 7, padding=3, groups=WIDTH)
        self.batch_norm = nn.BatchNorm1d(WIDTH)
        self.out = nn.Conv1d(WIDTH, WIDTH, 1)

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        x = functional.glu(self.gated(self.norm(x).transpose(1, 2)), dim=1)
        x = self.depthwise(x.masked_fill(hidden[:, None], 0.0))
        return self.out(functional.silu(self.batch_norm(x))).transpose(1, 2)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = FeedForward(), FeedForward()
        self.attention, self.convolution = RelativeAttention(), Convolution()
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor, positions: Tensor, hidden: Tensor) -> Tensor:
        x = x + self.before(x) / 2
        x = x + self.attention(x, positions, hidden)
        x = x + self.convolution(x, hidden)
        return self.norm(x + self.after(x) / 2)


class Conformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.subsample = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2), nn.ReLU())
        self.project = nn.Linear(8 * (((BANDS - 1) // 2 - 1) // 2), WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(2))
        self.head = nn.Linear(WIDTH, TOKENS)
        pace = torch.exp(torch.arange(0, WIDTH, 2) * (-math.log(10000.0) / WIDTH))
        self.register_buffer("pace", pace, persistent=False)

    def positions(self, frames: int) -> Tensor:
        """Sines and cosines of the distances frames - 1 to 1 - frames."""
        distance = torch.arange(frames - 1, -frames, -1).to(self.pace.dtype)
        angle = distance[:, None] * self.pace
        return torch.stack((angle.sin(), angle.cos()), -1).flatten(1)

    def forward(self, mel: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Mel (batch, steps, BANDS), lengths (batch,), int64; log-probabilities (batch, frames, TOKENS), lengths."""
        x = self.subsample(mel[:, None])
        x = self.project(x.transpose(1, 2).flatten(2))
        lengths = ((lengths - 1) // 2 - 1) // 2
        hidden = torch.arange(x.shape[1]) >= lengths[:, None]
        positions = self.positions(x.shape[1])
        for block in self.blocks:
            x = block(x, positions, hidden)
        return self.head(x).log_softmax(-1), lengths


def noise(steps: int, *lengths: int) -> tuple[Tensor, Tensor]:
    return torch.randn(len(lengths), steps, BANDS), torch.tensor(lengths)


def glides(steps: int, *lengths: int) -> tuple[Tensor, Tensor]:
    """Bands that rise and fall as a voice does, silence behind the end."""
    time = torch.arange(steps)[:, None] / steps
    band = torch.arange(BANDS)
    rows = [(-0.5 * (band - 10 - 6 * torch.sin(6.3 * (k + 1) * time)).square() / 4).exp() for k in range(len(lengths))]
    voice = 3 * torch.stack(rows) - 1
    said = torch.arange(steps)[:, None] < torch.tensor(lengths)[:, None, None]
    return torch.where(said, voice, -1.0), torch.tensor(lengths)


case = Case(
    model=lambda: generic_weights(Conformer()),
    inputs={"noise": lambda: noise(40, 40, 29), "three_longer": lambda: glides(57, 57, 40, 31)},
    dynamic_shapes={"mel": {0: "batch", 1: torch.export.Dim("steps", min=16, max=400)}, "lengths": {0: "batch"}},
    tags=("audio", "transformer", "attention", "convolution"),
    paper="arXiv:2005.08100",
)
