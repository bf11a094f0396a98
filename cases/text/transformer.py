"""Transformer: Vaswani et al., Attention Is All You Need, 2017, arXiv:1706.03762.

`nn.Transformer` with a causal mask for the target and padding masks for both sentences. The encoder looks at the mask:
where all padding is on the right, it takes nested tensors.
"""

import math

import torch
from sentences import VOCABULARY, sentences
from torch import Tensor, nn
from torch.export import Dim

from pytest_modelconform import Case, generic_weights

SOURCE, TARGET = Dim("source", max=32), Dim("target", max=32)


class Translator(nn.Module):
    """Source and target (batch, length), padded with 0 → logits of the target."""

    positions: Tensor

    def __init__(self, width: int = 32, longest: int = 32) -> None:
        super().__init__()
        self.scale = math.sqrt(width)
        self.embedding = nn.Embedding(VOCABULARY, width, padding_idx=0)
        angles = torch.arange(longest)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(1e4) / width))
        self.register_buffer("positions", torch.stack((angles.sin(), angles.cos()), 2).flatten(1))
        self.transformer = nn.Transformer(
            d_model=width,
            nhead=4,
            num_encoder_layers=2,
            num_decoder_layers=2,
            dim_feedforward=64,
            batch_first=True,
        )
        self.head = nn.Linear(width, VOCABULARY)

    def embed(self, tokens: Tensor) -> Tensor:
        return self.embedding(tokens) * self.scale + self.positions[: tokens.size(1)]

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        length = target.size(1)
        future = torch.ones(length, length, dtype=torch.bool, device=target.device).triu(1)
        padding = source == 0
        decoded = self.transformer(
            self.embed(source),
            self.embed(target),
            tgt_mask=future,
            src_key_padding_mask=padding,
            tgt_key_padding_mask=target == 0,
            memory_key_padding_mask=padding,
            tgt_is_causal=True,
        )
        return self.head(decoded)


case = Case(
    model=lambda: generic_weights(Translator()),
    inputs={
        "two": lambda: (sentences(9, 6)[0], sentences(5, 7)[0]),
        "three_longer": lambda: (sentences(5, 14, 11)[0], sentences(6, 8, 10)[0]),
        "two_left": lambda: (sentences(8, 11, left=True)[0], sentences(6, 4)[0]),
    },
    dynamic_shapes={"source": {0: "batch", 1: SOURCE}, "target": {0: "batch", 1: TARGET}},
    tags=("text", "transformer", "attention", "control_flow"),
    paper="arXiv:1706.03762",
)
