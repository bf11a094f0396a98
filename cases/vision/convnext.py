"""ConvNeXt: Liu et al., A ConvNet for the 2020s, 2022, arXiv:2201.03545.

Layer norms over the channels of maps: permuted to the end and back; GELU; a learned scale for each residual branch.
"""

import torch
from pictures import photo
from torch.export import Dim
from torchvision.models import ConvNeXt
from torchvision.models.convnext import CNBlockConfig

from pytest_modelconform import Case, generic_weights


def model() -> ConvNeXt:
    return generic_weights(ConvNeXt([CNBlockConfig(16, 32, 1), CNBlockConfig(32, None, 2)], num_classes=20))


case = Case(
    model=model,
    inputs={
        "pair": lambda: (torch.rand(2, 3, 48, 48),),
        "photo_wider": lambda: (photo(1, 48, 64),),
    },
    # A side below 16 pixels shrinks to 1 in the end, for which torch.export takes another branch.
    dynamic_shapes={"x": {0: "batch", 2: Dim("height", min=16), 3: Dim("width", min=16)}},
    tags=("vision", "convolution", "norm"),
    paper="arXiv:2201.03545",
    requires=("torchvision",),
)
