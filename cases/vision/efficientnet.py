"""EfficientNet: Tan and Le, Rethinking Model Scaling for Convolutional Neural Networks, 2019, arXiv:1905.11946.

Depthwise convolutions of 3 and 5 pixels, SiLU, and squeeze and excitation: each map scales its own channels.
"""

import torch
from pictures import photo
from torch.export import Dim
from torchvision.models import EfficientNet
from torchvision.models.efficientnet import MBConvConfig

from pytest_modelconform import Case, generic_weights


def model() -> EfficientNet:
    stages = [
        # expansion, kernel, stride, channels in and out, layers
        MBConvConfig(1, 3, 1, 16, 8, 1),
        MBConvConfig(6, 3, 2, 8, 16, 2),
        MBConvConfig(6, 5, 2, 16, 24, 1),
    ]
    return generic_weights(EfficientNet(stages, dropout=0.2, num_classes=20, last_channel=64))


case = Case(
    model=model,
    inputs={
        "pair": lambda: (torch.rand(2, 3, 48, 48),),
        "photo_wider": lambda: (photo(1, 48, 64),),
    },
    # A side of 8 pixels or less shrinks to 1 in the end, for which torch.export takes another branch.
    dynamic_shapes={"x": {0: "batch", 2: Dim("height", min=9), 3: Dim("width", min=9)}},
    tags=("vision", "convolution"),
    paper="arXiv:1905.11946",
    requires=("torchvision",),
)
