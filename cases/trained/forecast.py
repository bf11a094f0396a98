"""Fracast-0: a time-series model of dilated convolutions with shared weights, https://pypi.org/project/fracast.

Trained weights. Periods are found in forward: a Fourier transform, the strongest frequencies, and means by phase.
"""

import math

import torch
from fracast.inference import load_fracast
from torch import Tensor, nn
from wheels import file_of

from pytest_modelconform import Case

LENGTH = 2048


class Forecast(nn.Module):
    """The encoder and its head, as `FracastModel` calls them."""

    def __init__(self) -> None:
        super().__init__()
        self.core, self.head = load_fracast(file_of("fracast", "weights"), weights="fp32")

    def forward(self, values: Tensor, seen: Tensor) -> Tensor:
        """Series (batch, 2048) in 0..1, and what of them was seen, bool → quantiles (batch, 48, 9)."""
        hidden = self.core(values[:, None], seen[:, None], seen[:, None].to(values.dtype))
        return self.head.forward_horizon(hidden, last_obs=values[:, -1:], ctx=values, ctx_mask=seen)


def seasons(batch: int) -> tuple[Tensor, Tensor]:
    """Days and weeks on a trend, of which the beginning is missing."""
    hour = torch.arange(LENGTH)
    day = (2 * math.pi * hour / 24).sin()
    week = (2 * math.pi * hour / 168).cos()
    weight = torch.linspace(0.2, 0.6, batch)[:, None]
    series = 0.5 + 0.2 * day + 0.2 * weight * week + 0.05 * hour / LENGTH
    seen = (hour >= 300 * torch.arange(batch)[:, None]).expand(batch, LENGTH)
    return torch.where(seen, series, 0.0), seen.clone()


def wandering(batch: int) -> tuple[Tensor, Tensor]:
    """Random walks, scaled to 0..1, with gaps."""
    walk = torch.randn(batch, LENGTH).cumsum(1)
    low, high = walk.amin(1, keepdim=True), walk.amax(1, keepdim=True)
    seen = torch.rand(batch, LENGTH) > 0.1
    return torch.where(seen, (walk - low) / (high - low), 0.0), seen


fracast = Case(
    model=Forecast,
    inputs={"seasons": lambda: seasons(2), "wandering": lambda: wandering(3)},
    dynamic_shapes={"values": {0: "batch"}, "seen": {0: "batch"}},
    tags=("trained", "convolution", "fft", "gather", "slow"),
    paper="https://pypi.org/project/fracast/",
    requires=("fracast",),
)
