"""LR-ASPP: Howard et al., Searching for MobileNetV3, 2019, arXiv:1905.02244.

The segmentation head of that paper: maps of two strides, of which the coarse one is gated by its mean over the image.
"""

import torch
from backbones import layers
from pictures import photo
from torch.export import Dim
from torchvision.models.mobilenetv3 import InvertedResidualConfig, MobileNetV3
from torchvision.models.segmentation import LRASPP

from pytest_modelconform import Case, generic_weights


def model() -> LRASPP:
    blocks = [
        # channels, kernel, expanded to, channels out, squeeze and excitation, activation, stride, dilation, width
        InvertedResidualConfig(16, 3, 16, 16, False, "RE", 1, 1, 1.0),
        InvertedResidualConfig(16, 3, 64, 24, False, "RE", 2, 1, 1.0),
        InvertedResidualConfig(24, 5, 72, 40, True, "RE", 2, 1, 1.0),
        InvertedResidualConfig(40, 3, 80, 40, False, "HS", 2, 2, 1.0),
        InvertedResidualConfig(40, 5, 96, 40, True, "HS", 1, 2, 1.0),
    ]
    features = MobileNetV3(blocks, last_channel=64).features
    return generic_weights(LRASPP(layers(features, {"3": "low", "6": "high"}), 40, 240, num_classes=21))


case = Case(
    model=model,
    inputs={
        "pair": lambda: (torch.rand(2, 3, 48, 64),),
        "one_picture": lambda: (photo(1, 64, 40),),
    },
    dynamic_shapes={"input": {0: "batch", 2: Dim("height", min=17), 3: Dim("width", min=17)}},
    tags=("vision", "segmentation", "convolution", "interpolation"),
    paper="arXiv:1905.02244",
    requires=("torchvision",),
)
