"""MaxViT: Tu et al., Multi-Axis Vision Transformer, 2022, arXiv:2204.01697.

Attention within windows, then over a grid: the map is cut up by views and permutations, each with a table of relative
positions that is looked up in forward.
"""

import torch
from pictures import photo
from torchvision.models import MaxVit

from pytest_modelconform import Case, generic_weights


def model() -> MaxVit:
    return generic_weights(
        MaxVit(
            input_size=(32, 32),
            stem_channels=8,
            partition_size=4,
            block_channels=[16],
            block_layers=[1],
            head_dim=4,
            stochastic_depth_prob=0.0,
            num_classes=20,
        )
    )


case = Case(
    model=model,
    inputs={
        "pair": lambda: (torch.rand(2, 3, 32, 32),),
        "photos": lambda: (photo(3, 32, 32),),
    },
    # The sizes of images are fixed when the model is built.
    dynamic_shapes={"x": {0: "batch"}},
    tags=("vision", "transformer", "attention", "convolution"),
    paper="arXiv:2204.01697",
    requires=("torchvision",),
)
