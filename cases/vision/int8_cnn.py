"""An int8 CNN: Jacob et al., Quantization for Integer-Arithmetic-Only Inference, 2017, arXiv:1712.05877.

Twice the same kind of net: quantised by PyTorch, whose exporters have to write the pairs; and an ONNX file as tools for
deployment write it, with QuantizeLinear and DequantizeLinear around float operators, and a scale for each channel.
"""

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from pictures import photo
from torch import Tensor, nn
from torch.export import Dim

from pytest_modelconform import Case, generic_weights

WIDTH, CLASSES = 8, 5


class Net(nn.Module):
    """Images (batch, 3, height, width) → classes (batch, 5): a stem, a separable residual block and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, WIDTH, 3, stride=2, padding=1), nn.ReLU6())
        self.block = nn.Sequential(
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1, groups=WIDTH), nn.ReLU6(), nn.Conv2d(WIDTH, WIDTH, 1)
        )
        self.classifier = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.block(x)
        return self.classifier(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))


class Qdq:
    """Writes the graph of such a net, one layer after the other; its values are named by their layer."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        self.held: list[onnx.TensorProto] = []
        self.scales: dict[str, float] = {}

    def hold(self, name: str, value: np.ndarray) -> str:
        self.held.append(numpy_helper.from_array(value, name))
        return name

    def node(self, operator: str, inputs: list[str], out: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [out], **attributes))
        return out

    def rounded(self, value: str, low: float, high: float) -> str:
        """A value in uint8 steps from `low` to `high`, and back."""
        scale = np.float32((high - low) / 255)
        steps = [self.hold(f"{value}.scale", scale), self.hold(f"{value}.zero", np.uint8(round(-low / scale)))]
        self.node("QuantizeLinear", [value, *steps], f"{value}.q")
        self.scales[f"{value}.dq"] = float(scale)
        return self.node("DequantizeLinear", [f"{value}.q", *steps], f"{value}.dq")

    def layer(self, operator: str, name: str, value: str, shape: tuple[int, ...], **attributes: object) -> str:
        """A convolution or product of int8 weights, with one scale for each of the outputs, and biases in int32."""
        fan_in = int(np.prod(shape[1:]))
        weight = self.random.integers(-127, 128, shape).astype(np.int8)
        scale = (self.random.uniform(0.7, 1.3, shape[0]) * 1.3 / (73 * np.sqrt(fan_in))).astype(np.float32)
        bias_scale = (np.float32(self.scales[value]) * scale).astype(np.float32)
        bias = np.rint(self.random.normal(size=shape[0]) * 0.3 / bias_scale).astype(np.int32)
        for key, array, steps in ((f"{name}.weight", weight, scale), (f"{name}.bias", bias, bias_scale)):
            zero = np.zeros(shape[0], array.dtype)
            inputs = [self.hold(key, array), self.hold(f"{key}.scale", steps), self.hold(f"{key}.zero", zero)]
            self.node("DequantizeLinear", inputs, f"{key}.dq", axis=0)
        return self.node(operator, [value, f"{name}.weight.dq", f"{name}.bias.dq"], name, **attributes)


def qdq() -> onnx.ModelProto:
    net = Qdq()
    x = net.rounded("images", 0.0, 1.0)
    x = net.layer("Conv", "stem", x, (WIDTH, 3, 3, 3), strides=[2, 2], pads=[1] * 4)
    x = net.rounded(net.node("Relu", [x], "stem.relu"), 0.0, 2.5)
    y = net.layer("Conv", "depthwise", x, (WIDTH, 1, 3, 3), group=WIDTH, pads=[1] * 4)
    y = net.rounded(net.node("Relu", [y], "depthwise.relu"), 0.0, 4.0)
    y = net.rounded(net.layer("Conv", "pointwise", y, (WIDTH, WIDTH, 1, 1)), -4.0, 5.0)
    x = net.rounded(net.node("Add", [x, y], "sum"), -4.0, 6.0)
    x = net.rounded(net.node("Flatten", [net.node("GlobalAveragePool", [x], "pool")], "flat"), -2.0, 3.0)
    net.layer("Gemm", "classes", x, (CLASSES, WIDTH), transB=1)
    graph = helper.make_graph(
        net.nodes,
        "qdq",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, "height", "width"])],
        [helper.make_tensor_value_info("classes", TensorProto.FLOAT, ["batch", CLASSES])],
        net.held,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


int8_cnn = Case(
    model=lambda: generic_weights(Net()),
    inputs={"three": lambda: (torch.rand(3, 3, 12, 10),), "two_photos": lambda: (photo(2, 16, 20),)},
    dynamic_shapes={"x": {0: "batch", 2: Dim("height", min=4), 3: Dim("width", min=4)}},
    dtypes=("int8",),
    tags=("vision", "convolution", "quantised"),
    paper="arXiv:1712.05877",
    requires=("onnx",),  # the file imports it
)
int8_cnn_qdq = Case(
    model=qdq,
    framework="onnx",
    inputs={
        "three": lambda: (np.random.uniform(size=(3, 3, 12, 10)).astype(np.float32),),
        "two_photos": lambda: (photo(2, 16, 20).numpy(),),
    },
    dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),
    tags=("vision", "convolution", "quantised"),
    paper="arXiv:1712.05877",
)
