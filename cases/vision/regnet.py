"""RegNetY: Radosavovic et al., Designing Network Design Spaces, 2020, arXiv:2003.13678.

Grouped convolutions, squeeze and excitation.
"""

import torch
from pictures import photo
from torch.export import Dim
from torchvision.models import RegNet
from torchvision.models.regnet import BlockParams

from pytest_modelconform import Case, generic_weights


def model() -> RegNet:
    parameters = BlockParams(
        depths=[1, 2],
        widths=[16, 32],
        group_widths=[8, 8],
        bottleneck_multipliers=[1.0, 1.0],
        strides=[2, 2],
        se_ratio=0.25,
    )
    return generic_weights(RegNet(parameters, num_classes=20, stem_width=16))


case = Case(
    model=model,
    inputs={
        "pair": lambda: (torch.rand(2, 3, 48, 48),),
        "photo_wider": lambda: (photo(1, 48, 64),),
    },
    # A side of 8 pixels or less shrinks to 1 in the end, for which torch.export takes another branch.
    dynamic_shapes={"x": {0: "batch", 2: Dim("height", min=9), 3: Dim("width", min=9)}},
    tags=("vision", "convolution"),
    paper="arXiv:2003.13678",
    requires=("torchvision",),
)
