"""DINOv2 with registers: Darcet et al., Vision Transformers Need Registers, 2023, arXiv:2309.16588.

Images of any size: the table of positions is resized to their patches, by an antialiased bicubic interpolation.
"""

import torch
from pictures import photo
from torch import Tensor, nn
from torch.export import Dim
from transformers import Dinov2WithRegistersConfig, Dinov2WithRegistersModel

from pytest_modelconform import Case, generic_weights


class Features(nn.Module):
    """Returns plain tensors, which load without transformers."""

    def __init__(self, dino: nn.Module) -> None:
        super().__init__()
        self.dino = dino

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """Images (batch, 3, height, width) → class tokens (batch, width), all tokens (batch, tokens, width)."""
        found = self.dino(pixel_values)
        return found.pooler_output, found.last_hidden_state


def model() -> Features:
    config = Dinov2WithRegistersConfig(
        image_size=40,
        patch_size=8,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        mlp_ratio=2,
        num_register_tokens=4,
        use_swiglu_ffn=True,
    )
    return generic_weights(Features(Dinov2WithRegistersModel(config)))


case = Case(
    model=model,
    inputs={
        "pair": lambda: (torch.rand(2, 3, 48, 32),),
        "photo_wider": lambda: (photo(1, 32, 64),),
    },
    # Patches have 8 pixels.
    dynamic_shapes={"pixel_values": {0: "batch", 2: 8 * Dim("rows", min=2), 3: 8 * Dim("columns", min=2)}},
    tags=("vision", "transformer", "attention", "interpolation"),
    paper="arXiv:2309.16588",
    requires=("transformers",),
)
