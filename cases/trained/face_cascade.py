"""MTCNN: Zhang et al., Joint Face Detection and Alignment using Multi-task Cascaded CNNs, 2016, arXiv:1604.02878.

The three trained networks of the cascade, with pools that round their sizes up.
"""

import torch
from drawn import faces
from facenet_pytorch.models.mtcnn import ONet, PNet, RNet
from torch import Tensor
from torch.export import Dim

from pytest_modelconform import Case


def crops(batch: int, height: int, width: int) -> Tensor:
    """Faces as the cascade normalises them, in -1..1."""
    return 2 * faces(batch, height, width) - 1


def noise(batch: int, height: int, width: int) -> Tensor:
    return 2 * torch.rand(batch, 3, height, width) - 1


# P-Net slides over a whole image. Of 12 pixels, its window, a map of 1 is left, for which torch.export takes another
# branch.
image = {0: "batch", 2: Dim("height", min=13), 3: Dim("width", min=13)}

pnet = Case(
    model=PNet,
    inputs={"faces": lambda: (crops(2, 37, 30),), "noise": lambda: (noise(1, 24, 43),)},
    dynamic_shapes={"x": image},
    tags=("trained", "vision", "detection", "convolution", "ceil_mode"),
    paper="arXiv:1604.02878",
    requires=("facenet-pytorch>=2.6",),
)
rnet = Case(
    model=RNet,
    inputs={"faces": lambda: (crops(3, 24, 24),), "noise": lambda: (noise(5, 24, 24),)},
    dynamic_shapes={"x": {0: "batch"}},
    tags=("trained", "vision", "detection", "convolution", "ceil_mode"),
    paper="arXiv:1604.02878",
    requires=("facenet-pytorch>=2.6",),
)
onet = Case(
    model=ONet,
    inputs={"faces": lambda: (crops(3, 48, 48),), "noise": lambda: (noise(2, 48, 48),)},
    dynamic_shapes={"x": {0: "batch"}},
    tags=("trained", "vision", "detection", "convolution", "ceil_mode"),
    paper="arXiv:1604.02878",
    requires=("facenet-pytorch>=2.6",),
)
