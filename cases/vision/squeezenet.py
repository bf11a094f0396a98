"""SqueezeNet: Iandola et al., AlexNet-level accuracy with 50x fewer parameters, 2016, arXiv:1602.07360.

Max pooling with `ceil_mode`, by which the last window may hang over the edge; no norms, so that magnitudes grow.
"""

import torch
from pictures import photo
from torch import nn
from torch.export import Dim
from torchvision.models import SqueezeNet
from torchvision.models.squeezenet import Fire

from pytest_modelconform import Case, generic_weights


def model() -> SqueezeNet:
    net = SqueezeNet("1_1", num_classes=20)
    # torchvision fixes all widths; these are a quarter of them, in half as many layers.
    net.features = nn.Sequential(
        nn.Conv2d(3, 16, kernel_size=3, stride=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True),
        Fire(16, 4, 16, 16),
        nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True),
        Fire(32, 8, 32, 32),
        nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True),
        Fire(64, 16, 64, 64),
    )
    net.classifier[1] = nn.Conv2d(128, 20, kernel_size=1)
    return generic_weights(net)


case = Case(
    model=model,
    inputs={
        "pair": lambda: (torch.rand(2, 3, 64, 64),),
        "photo_wider": lambda: (photo(1, 67, 90),),
    },
    # A side of 22 pixels or less shrinks to 1 in the end, for which torch.export takes another branch.
    dynamic_shapes={"x": {0: "batch", 2: Dim("height", min=23), 3: Dim("width", min=23)}},
    tags=("vision", "convolution", "ceil_mode"),
    paper="arXiv:1602.07360",
    requires=("torchvision",),
)
