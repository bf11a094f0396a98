"""SAM's image encoder: Kirillov et al., Segment Anything, 2023, arXiv:2304.02643.

Attention in windows that don't divide the image, and in all of it; both with relative positions, row and column apart.
"""

import torch
from pictures import photo
from torch import Tensor, nn
from transformers import SamVisionConfig, SamVisionModel

from pytest_modelconform import Case, generic_weights


class Embeddings(nn.Module):
    """pixel_values (batch, 3, 64, 64) → (batch, channels, 8, 8)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.model(pixel_values).last_hidden_state


def model() -> Embeddings:
    config = SamVisionConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=64,
        patch_size=8,
        window_size=3,
        global_attn_indexes=[1],
        output_channels=16,
        mlp_ratio=2.0,
    )
    return generic_weights(Embeddings(SamVisionModel(config)))


case = Case(
    model=model,
    inputs={
        "pair": lambda: (torch.rand(2, 3, 64, 64),),
        "three_pictures": lambda: (photo(3, 64, 64),),
    },
    dynamic_shapes={"pixel_values": {0: "batch"}},
    tags=("vision", "segmentation", "transformer", "attention"),
    paper="arXiv:2304.02643",
    requires=("transformers",),
)
