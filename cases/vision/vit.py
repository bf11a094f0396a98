"""Vision Transformer: Dosovitskiy et al., An Image is Worth 16x16 Words, 2020, arXiv:2010.11929."""

import torch
from torchvision.models import VisionTransformer

from pytest_modelconform import Case, generic_weights


def model() -> VisionTransformer:
    return generic_weights(
        VisionTransformer(image_size=64, patch_size=16, num_layers=3, num_heads=4, hidden_dim=64, mlp_dim=128)
    )


case = Case(
    model=model,
    inputs={
        "pair": lambda: (torch.rand(2, 3, 64, 64),),
        "three": lambda: (torch.rand(3, 3, 64, 64),),
    },
    dynamic_shapes={"x": {0: "batch"}},
    tags=("vision", "transformer"),
    paper="arXiv:2010.11929",
    requires=("torchvision",),
)
