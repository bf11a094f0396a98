"""A residual block with its classifier as an ONNX file: He et al., Deep Residual Learning, 2015, arXiv:1512.03385.

Nothing exported it: the graph is built by hand, so that the case says what happens to a file as others write it.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pytest_modelconform import Case

CHANNELS = 8
CLASSES = 5


def build() -> onnx.ModelProto:
    """The graph: images (batch, 3, height, width) → classes (batch, 5), probabilities."""
    random = np.random.default_rng(0)
    weights: dict[str, np.ndarray] = {}

    def normal(name: str, *shape: int, mean: float = 0.0) -> str:
        fan_in = int(np.prod(shape[1:]))
        weights[name] = (mean + random.normal(size=shape) / np.sqrt(fan_in)).astype(np.float32)
        return name

    def norm(name: str) -> list[str]:
        weights[f"{name}.var"] = random.uniform(0.5, 2.0, CHANNELS).astype(np.float32)
        weights[f"{name}.weight"] = random.uniform(0.5, 1.5, CHANNELS).astype(np.float32)
        return [f"{name}.weight", normal(f"{name}.bias", CHANNELS), normal(f"{name}.mean", CHANNELS), f"{name}.var"]

    nodes = [
        helper.make_node(
            "Conv", ["images", normal("stem", CHANNELS, 3, 3, 3), normal("stem.bias", CHANNELS)], ["s"], pads=[1] * 4
        ),
        helper.make_node("Relu", ["s"], ["x"]),
        helper.make_node("Conv", ["x", normal("conv1", CHANNELS, CHANNELS, 3, 3)], ["c1"], pads=[1] * 4),
        helper.make_node("BatchNormalization", ["c1", *norm("norm1")], ["n1"], epsilon=1e-5),
        helper.make_node("Relu", ["n1"], ["r1"]),
        helper.make_node("Conv", ["r1", normal("conv2", CHANNELS, CHANNELS, 3, 3)], ["c2"], pads=[1] * 4),
        helper.make_node("BatchNormalization", ["c2", *norm("norm2")], ["n2"], epsilon=1e-5),
        helper.make_node("Add", ["n2", "x"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["block"]),
        helper.make_node("GlobalAveragePool", ["block"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node(
            "Gemm", ["flat", normal("head", CLASSES, CHANNELS), normal("head.bias", CLASSES)], ["logits"], transB=1
        ),
        helper.make_node("Softmax", ["logits"], ["classes"], axis=-1),
    ]
    graph = helper.make_graph(
        nodes,
        "residual",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, "height", "width"])],
        [helper.make_tensor_value_info("classes", TensorProto.FLOAT, ["batch", CLASSES])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def images(*shape: int) -> np.ndarray:
    return np.random.normal(size=shape).astype(np.float32)


case = Case(
    model=build,
    framework="onnx",
    inputs={
        "two": lambda: (images(2, 3, 12, 10),),
        "one_larger": lambda: (images(1, 3, 16, 20),),
    },
    dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),
    tags=("frameworks",),
    paper="arXiv:1512.03385",
)
