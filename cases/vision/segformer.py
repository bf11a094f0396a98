"""SegFormer: Xie et al., SegFormer: Simple and Efficient Design for Semantic Segmentation, 2021, arXiv:2105.15203.

Attention whose keys a strided convolution shortens: (batch, tokens, channels) and images are made of each other.
"""

import torch
from pictures import photo
from torch import Tensor, nn
from torch.export import Dim
from transformers import SegformerConfig, SegformerForSemanticSegmentation

from pytest_modelconform import Case, generic_weights


class Logits(nn.Module):
    """pixel_values (batch, 3, height, width) → (batch, classes, height / 4, width / 4)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.model(pixel_values).logits


def model() -> Logits:
    config = SegformerConfig(
        num_encoder_blocks=2,
        depths=[1, 1],
        sr_ratios=[4, 1],
        hidden_sizes=[16, 32],
        patch_sizes=[7, 3],
        strides=[4, 2],
        num_attention_heads=[1, 4],
        mlp_ratios=[2, 2],
        decoder_hidden_size=32,
        num_labels=11,
    )
    return generic_weights(Logits(SegformerForSemanticSegmentation(config)))


case = Case(
    model=model,
    inputs={
        "pair": lambda: (torch.rand(2, 3, 32, 48),),
        "one_picture": lambda: (photo(1, 56, 32),),
    },
    # A side of 28 pixels or less shrinks to 1 where keys are shortened, for which torch.export takes another branch.
    dynamic_shapes={"pixel_values": {0: "batch", 2: Dim("height", min=29), 3: Dim("width", min=29)}},
    tags=("vision", "segmentation", "transformer", "attention", "interpolation"),
    paper="arXiv:2105.15203",
    requires=("transformers",),
)
