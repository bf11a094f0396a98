"""FCN: Long et al., Fully Convolutional Networks for Semantic Segmentation, 2014, arXiv:1411.4038.

Its ResNet dilates where others have strides, and the scores are interpolated to the size of the image.
"""

import torch
from backbones import NarrowResNet, layers
from pictures import photo
from torch.export import Dim
from torchvision.models.resnet import Bottleneck
from torchvision.models.segmentation import FCN
from torchvision.models.segmentation.fcn import FCNHead

from pytest_modelconform import Case, generic_weights


def model() -> FCN:
    resnet = NarrowResNet(Bottleneck, [1, 2, 1, 1], replace_stride_with_dilation=[False, True, True])
    backbone = layers(resnet, {"layer4": "out", "layer3": "aux"})
    return generic_weights(FCN(backbone, FCNHead(256, 21), FCNHead(128, 21)))


case = Case(
    model=model,
    inputs={
        "pair": lambda: (torch.rand(2, 3, 40, 48),),
        "one_picture": lambda: (photo(1, 56, 40),),
    },
    dynamic_shapes={"x": {0: "batch", 2: Dim("height", min=17), 3: Dim("width", min=17)}},
    tags=("vision", "segmentation", "convolution", "interpolation"),
    paper="arXiv:1411.4038",
    requires=("torchvision",),
)
