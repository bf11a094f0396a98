"""MobileNetV3 small: Howard et al., Searching for MobileNetV3, 2019, arXiv:1905.02244."""

import torch
from torch.export import Dim
from torchvision import models

from pytest_modelconform import Case, generic_weights

mobilenet_v3_small = Case(
    model=lambda: generic_weights(models.mobilenet_v3_small()),
    inputs={
        "pair": lambda: (torch.rand(2, 3, 64, 64),),
        "one_wider": lambda: (torch.rand(1, 3, 64, 96),),
    },
    # A side of 32 pixels or less shrinks to 1 in the end, for which torch.export takes another branch.
    dynamic_shapes={"x": {0: "batch", 2: Dim("height", min=33), 3: Dim("width", min=33)}},
    tags=("vision", "convolution"),
    paper="arXiv:1905.02244",
    requires=("torchvision",),
)
