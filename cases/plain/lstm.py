"""Bidirectional LSTM: Graves et al., Speech Recognition with Deep Recurrent Neural Networks, 2013, arXiv:1303.5778."""

import torch
from torch import Tensor, nn

from pytest_modelconform import Case, Train, generic_weights


def model() -> nn.LSTM:
    """Returns (output, (h, c)): a tuple in a tuple, h and c of shape (layers * directions, batch, hidden)."""
    return generic_weights(nn.LSTM(16, 32, num_layers=2, bidirectional=True, batch_first=True))


def loss(output: tuple[Tensor, tuple[Tensor, Tensor]], target: Tensor) -> Tensor:
    return nn.functional.mse_loss(output[0], target)


case = Case(
    model=model,
    inputs={"two": lambda: (torch.randn(2, 7, 16),), "three_longer": lambda: (torch.randn(3, 12, 16),)},
    dynamic_shapes={"input": {0: "batch", 1: "length"}},
    cpp="lstm.cpp",
    train=Train(
        loss=loss,
        optimizer="adam",
        lr=0.01,
        steps=6,
        batch_size=3,
        data=lambda: (torch.randn(8, 7, 16), torch.randn(8, 7, 64)),
    ),
    tags=("plain", "recurrent"),
    paper="arXiv:1303.5778",
)

# torch.export unrolls an LSTM over time, so it refuses a dynamic length. With a fixed one its numbers can be compared.
lstm_fixed_length = Case(
    model=model,
    inputs={"two": lambda: (torch.randn(2, 7, 16),), "three": lambda: (torch.randn(3, 7, 16),)},
    dynamic_shapes={"input": {0: "batch"}},
    tags=("plain", "recurrent"),
    paper="arXiv:1303.5778",
)
