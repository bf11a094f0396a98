"""DenseNet-121: Huang et al., Densely Connected Convolutional Networks, 2016, arXiv:1608.06993."""

import torch
from torch.export import Dim
from torchvision import models

from pytest_modelconform import Case, generic_weights

densenet121 = Case(
    model=lambda: generic_weights(models.densenet121()),
    inputs={
        "pair": lambda: (torch.rand(2, 3, 64, 64),),
        "one_wider": lambda: (torch.rand(1, 3, 64, 96),),
    },
    # A side of 60 pixels or less shrinks to 1 in the end, for which torch.export takes another branch.
    dynamic_shapes={"x": {0: "batch", 2: Dim("height", min=61), 3: Dim("width", min=61)}},
    tags=("vision", "convolution"),
    paper="arXiv:1608.06993",
    requires=("torchvision",),
)
