"""Swin Transformer: Liu et al., Hierarchical Vision Transformer using Shifted Windows, 2021, arXiv:2103.14030."""

import torch
from torchvision.models import SwinTransformer

from pytest_modelconform import Case, generic_weights


def model() -> SwinTransformer:
    return generic_weights(
        SwinTransformer(
            patch_size=[4, 4],
            embed_dim=24,
            depths=[2, 2],
            num_heads=[2, 4],
            window_size=[4, 4],
            stochastic_depth_prob=0.0,
        )
    )


case = Case(
    model=model,
    inputs={
        "pair": lambda: (torch.rand(2, 3, 64, 64),),
        "three": lambda: (torch.rand(3, 3, 64, 64),),
    },
    dynamic_shapes={"x": {0: "batch"}},
    tags=("vision", "transformer"),
    paper="arXiv:2103.14030",
    requires=("torchvision",),
)
