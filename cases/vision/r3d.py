"""R3D-18: Tran et al., A Closer Look at Spatiotemporal Convolutions for Action Recognition, 2017, arXiv:1711.11248."""

import torch
from torch.export import Dim
from torchvision.models import video

from pytest_modelconform import Case, generic_weights

r3d_18 = Case(
    model=lambda: generic_weights(video.r3d_18()),
    inputs={
        "pair": lambda: (torch.rand(2, 3, 4, 32, 32),),
        "one_wider": lambda: (torch.rand(1, 3, 4, 32, 48),),
    },
    # A side of 16 pixels or less shrinks to 1 before the last stage, for which torch.export takes another branch.
    dynamic_shapes={"x": {0: "batch", 3: Dim("height", min=17), 4: Dim("width", min=17)}},
    tags=("vision", "video"),
    paper="arXiv:1711.11248",
    requires=("torchvision",),
)
