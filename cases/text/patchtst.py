"""PatchTST: Nie et al., A Time Series is Worth 64 Words, 2022, arXiv:2211.14730.

A series is scaled by its own mean and deviation, cut into overlapping patches, and scaled back at the end.
"""

import torch
from torch import Tensor, nn
from transformers import PatchTSTConfig, PatchTSTForPrediction

from pytest_modelconform import Case, generic_weights

LENGTH, CHANNELS = 48, 3


class Forecast(nn.Module):
    """Past values (batch, 48, 3) → the next 12 (batch, 12, 3), as a tensor, which loads without transformers."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, past_values: Tensor) -> Tensor:
        forecast: Tensor = self.model(past_values).prediction_outputs
        return forecast


def model() -> Forecast:
    config = PatchTSTConfig(
        num_input_channels=CHANNELS,
        context_length=LENGTH,
        patch_length=8,
        patch_stride=4,
        prediction_length=12,
        num_hidden_layers=2,
        d_model=32,
        num_attention_heads=4,
        ffn_dim=64,
    )
    return generic_weights(Forecast(PatchTSTForPrediction(config)))


def series(batch: int) -> Tensor:
    """A trend with a season, a level that jumps, and bursts."""
    time = torch.arange(LENGTH) + 5 * torch.arange(batch)[:, None]
    trend = 20 + 0.3 * time + 4 * (time / 3.8).sin()
    return torch.stack((trend, 3.0 * (time > 24) - 1, torch.exp(-(time % 12) / 2)), 2) + 0.05 * torch.randn(
        batch, LENGTH, CHANNELS
    )


case = Case(
    model=model,
    inputs={"two": lambda: (torch.randn(2, LENGTH, CHANNELS),), "three_series": lambda: (series(3),)},
    dynamic_shapes={"past_values": {0: "batch"}},
    tags=("text", "transformer", "norm"),
    paper="arXiv:2211.14730",
    requires=("transformers",),
)
