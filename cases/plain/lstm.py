"""Bidirectional LSTM: Graves et al., Speech Recognition with Deep Recurrent Neural Networks, 2013, arXiv:1303.5778."""

import torch
from torch import nn

from pytest_modelconform import Case, generic_weights


def model() -> nn.LSTM:
    """Returns (output, (h, c)): a tuple in a tuple, h and c of shape (layers * directions, batch, hidden)."""
    return generic_weights(nn.LSTM(16, 32, num_layers=2, bidirectional=True, batch_first=True))


case = Case(
    model=model,
    inputs={"two": lambda: (torch.randn(2, 7, 16),), "three_longer": lambda: (torch.randn(3, 12, 16),)},
    dynamic_shapes={"input": {0: "batch", 1: "length"}},
    cpp="lstm.cpp",
    tags=("plain", "recurrent"),
    paper="arXiv:1303.5778",
)

# torch.export unrolls an LSTM over time and so refuses a dynamic length. Here it is left its numbers to show.
lstm_fixed_length = Case(
    model=model,
    inputs={"two": lambda: (torch.randn(2, 7, 16),), "three": lambda: (torch.randn(3, 7, 16),)},
    dynamic_shapes={"input": {0: "batch"}},
    tags=("plain", "recurrent"),
    paper="arXiv:1303.5778",
)
