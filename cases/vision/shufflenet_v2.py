"""ShuffleNet V2: Ma et al., Practical Guidelines for Efficient CNN Architecture Design, 2018, arXiv:1807.11164."""

import torch
from torch.export import Dim
from torchvision import models

from pytest_modelconform import Case, generic_weights

shufflenet_v2_x0_5 = Case(
    model=lambda: generic_weights(models.shufflenet_v2_x0_5()),
    inputs={
        "pair": lambda: (torch.rand(2, 3, 64, 64),),
        "one_wider": lambda: (torch.rand(1, 3, 64, 96),),
    },
    # A side of 32 pixels or less shrinks to 1 in the end, for which torch.export takes another branch.
    dynamic_shapes={"x": {0: "batch", 2: Dim("height", min=33), 3: Dim("width", min=33)}},
    tags=("vision", "convolution"),
    paper="arXiv:1807.11164",
    requires=("torchvision",),
)
