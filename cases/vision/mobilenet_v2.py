"""MobileNetV2: Sandler et al., Inverted Residuals and Linear Bottlenecks, 2018, arXiv:1801.04381.

Depthwise convolutions and ReLU6, which cuts off at both ends.
"""

import torch
from pictures import photo
from torch.export import Dim
from torchvision.models import MobileNetV2

from pytest_modelconform import Case, generic_weights


def model() -> MobileNetV2:
    # expansion, channels (times width_mult), layers, stride
    stages = [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 2, 2]]
    return generic_weights(MobileNetV2(num_classes=20, width_mult=0.5, inverted_residual_setting=stages))


case = Case(
    model=model,
    inputs={
        "pair": lambda: (torch.rand(2, 3, 48, 48),),
        "photo_wider": lambda: (photo(1, 48, 64),),
    },
    # A side of 8 pixels or less shrinks to 1 in the end, for which torch.export takes another branch.
    dynamic_shapes={"x": {0: "batch", 2: Dim("height", min=9), 3: Dim("width", min=9)}},
    tags=("vision", "convolution"),
    paper="arXiv:1801.04381",
    requires=("torchvision",),
)
