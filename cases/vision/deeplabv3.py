"""DeepLabv3: Chen et al., Rethinking Atrous Convolution for Semantic Image Segmentation, 2017, arXiv:1706.05587."""

import torch
from torch.export import Dim
from torchvision.models import segmentation

from pytest_modelconform import Case, generic_weights

deeplabv3_mobilenet_v3_large = Case(
    model=lambda: generic_weights(segmentation.deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None)),
    inputs={
        "pair": lambda: (torch.rand(2, 3, 64, 64),),
        "one_wider": lambda: (torch.rand(1, 3, 64, 96),),
    },
    # A side of 32 pixels or less shrinks to 1 in the end, for which torch.export takes another branch.
    dynamic_shapes={"x": {0: "batch", 2: Dim("height", min=33), 3: Dim("width", min=33)}},
    tags=("vision", "segmentation"),
    paper="arXiv:1706.05587",
    requires=("torchvision",),
)
