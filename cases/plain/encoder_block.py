"""An encoder block with its norms first: Xiong et al., On Layer Normalization in the Transformer, arXiv:2002.04745."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pytest_modelconform import Case, Train, generic_weights


def model() -> nn.TransformerEncoderLayer:
    """A layer that in eval mode takes a fast path: one operator for the whole layer.

    It has no dropout, since torch::nn draws random numbers in another order than Python's attention.
    """
    options = {"dropout": 0.0, "activation": "gelu", "batch_first": True, "norm_first": True}
    return generic_weights(nn.TransformerEncoderLayer(32, 4, 64, **options))


def inputs(*lengths: int) -> Callable[[], dict[str, Tensor]]:
    """Sequences of these lengths, padded to the longest."""

    def make() -> dict[str, Tensor]:
        padding = torch.arange(max(lengths))[None, :] >= torch.tensor(lengths)[:, None]
        return {"src": torch.randn(len(lengths), max(lengths), 32), "src_key_padding_mask": padding}

    return make


case = Case(
    model=model,
    inputs={"three": inputs(9, 5, 7), "two_longer": inputs(12, 16)},
    dynamic_shapes={"src": {0: "batch", 1: "length"}, "src_key_padding_mask": {0: "batch", 1: "length"}},
    dtypes=("float32", "bfloat16"),
    cpp="encoder_block.cpp",
    train=Train(
        loss="mse_loss",
        optimizer="adamw",
        lr=0.01,
        steps=6,
        batch_size=3,
        data=lambda: (torch.randn(8, 9, 32), torch.randn(8, 9, 32)),
    ),
    tags=("plain", "transformer"),
    paper="arXiv:2002.04745",
)
