"""OpenVINO's RoiAlign takes another number of samples than ONNX says where `sampling_ratio` is left out.

openvinotoolkit/openvino#37826. Once as a file, and once as torchvision's layer, whose exporter writes the attribute.
"""

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn
from torchvision.ops import RoIAlign

from pytest_modelconform import Case, generic_weights


def roi_model() -> onnx.ModelProto:
    """Features (batch, 4, 24, 30), boxes (n, 4), images (n,) → (n, 4, 3, 2)."""
    node = helper.make_node(
        "RoiAlign", ["features", "boxes", "images"], ["pooled"], output_height=3, output_width=2, spatial_scale=0.5
    )
    inputs = [
        helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 4, 24, 30]),
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["n", 4]),
        helper.make_tensor_value_info("images", TensorProto.INT64, ["n"]),
    ]
    outputs = [helper.make_tensor_value_info("pooled", TensorProto.FLOAT, ["n", 4, 3, 2])]
    graph = helper.make_graph([node], "roi", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8)


def call(batch: int, count: int) -> tuple[np.ndarray, ...]:
    """Boxes at least 20 long and wide in an image of 48 x 60, none of them on a whole pixel."""
    corner = np.random.uniform(0.3, 18.7, size=(count, 2))
    size = np.random.uniform(20.3, 27.6, size=(count, 2))
    features = np.random.normal(size=(batch, 4, 24, 30)).astype(np.float32)
    boxes = np.concatenate([corner, corner + size], 1).astype(np.float32)
    return features, boxes, np.random.randint(0, batch, size=count).astype(np.int64)


roi_file = Case(
    model=roi_model,
    framework="onnx",
    inputs={"five": lambda: call(2, 5), "eight": lambda: call(3, 8)},
    dynamic_shapes=({0: "batch"}, {0: "n"}, {0: "n"}),
)


class RoiHead(nn.Module):
    """Pools each box to 3 x 2 and classifies it; a box is (image, x1, y1, x2, y2)."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = RoIAlign((3, 2), spatial_scale=0.5, sampling_ratio=-1, aligned=True)
        self.classes = nn.Linear(4 * 3 * 2, 5)

    def forward(self, features: Tensor, rois: Tensor) -> Tensor:
        classes: Tensor = self.classes(self.pool(features, rois).flatten(1))
        return classes


def torch_call(batch: int, count: int) -> tuple[Tensor, ...]:
    features, corners, images = (torch.from_numpy(value) for value in call(batch, count))
    return features, torch.cat([images[:, None].float(), corners], 1)


roi_head = Case(
    model=lambda: generic_weights(RoiHead()),
    inputs={"five": lambda: torch_call(2, 5), "eight": lambda: torch_call(3, 8)},
    dynamic_shapes={"features": {0: "batch"}, "rois": {0: "n"}},
    requires=("torchvision",),
)
