"""Small models in ONNX: a node or a few, of whatever opset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pytest_modelconform.workers.arrays import Array

node = helper.make_node


def normal(*shape: int, seed: int = 0) -> Array:
    """Float32, standard normal."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def graph(
    nodes: Sequence[onnx.NodeProto],
    shape: Sequence[Any],
    rank: int,
    weights: Mapping[str, Any] | None = None,
    opset: int = 21,
    returns: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """A model of `x`, float32 of a shape, that returns `y` of a rank."""
    made = helper.make_graph(
        list(nodes),
        "main",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", returns, [None] * rank)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (weights or {}).items()],
    )
    # Files of each opset are about in the version of their time; 8 knows them all up to 16.
    domains = [helper.make_opsetid("", opset), *([helper.make_opsetid("com.microsoft", 1)] if _foreign(nodes) else [])]
    return helper.make_model(made, opset_imports=domains, ir_version=8 if opset < 17 else 10)


def _foreign(nodes: Sequence[onnx.NodeProto]) -> bool:
    return any(one.domain == "com.microsoft" for one in nodes)


def batch_norm(opset: int, channels: int = 4, **attributes: Any) -> onnx.ModelProto:
    """One BatchNormalization of (batch, channels, 5, 6), with statistics far from any batch's."""
    weights = {
        "s": normal(channels, seed=1),
        "b": normal(channels, seed=2),
        "m": normal(channels, seed=3) + 2,
        "v": np.abs(normal(channels, seed=4)) + 0.5,
    }
    one = node("BatchNormalization", ["x", "s", "b", "m", "v"], ["y"], **attributes)
    return graph([one], ["batch", channels, 5, 6], 4, weights, opset)


def ocr_like(opset: int = 11) -> onnx.ModelProto:
    """As PaddlePaddle's exporter writes a recognizer: weights as Constant nodes, batch norms, a hard swish of parts."""

    def constant(name: str, array: Any) -> onnx.NodeProto:
        return node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(array)))

    nodes = [
        constant("conv1_weights", normal(8, 3, 3, 3, seed=5) / 5),
        constant("s", normal(8, seed=6)),
        constant("b", normal(8, seed=7)),
        constant("m", normal(8, seed=8) + 1),
        constant("v", np.abs(normal(8, seed=9)) + 0.5),
        constant("three", np.float32(3)),
        constant("zero", np.float32(0)),
        constant("six", np.float32(6)),
        constant("scales", np.array([1, 1, 2, 2], np.float32)),
        constant("region", np.zeros(0, np.float32)),
        constant("head", normal(8, 5, seed=10)),
        constant("shape", np.array([0, -1])),
        node("Conv", ["x", "conv1_weights"], ["c"], pads=[1] * 4, strides=[2, 2]),
        node("BatchNormalization", ["c", "s", "b", "m", "v"], ["n"], epsilon=1e-5, momentum=0.9),
        node("Add", ["n", "three"], ["n3"]),
        node("Clip", ["n3", "zero", "six"], ["n6"]) if opset >= 11 else node("Clip", ["n3"], ["n6"], min=0.0, max=6.0),
        node("Mul", ["n", "n6"], ["h6"]),
        node("Div", ["h6", "six"], ["h"]),
        _doubled(opset),
        node("GlobalAveragePool", ["u"], ["p"]),
        node("Reshape", ["p", "shape"], ["f"]),
        node("MatMul", ["f", "head"], ["l"]),
        node("Softmax", ["l"], ["y"], axis=1),
    ]
    return graph(nodes, ["batch", 3, 8, 12], 2, {}, opset)


def _doubled(opset: int) -> onnx.NodeProto:
    """`u`, which is `h` of twice the height and width, as each opset has it."""
    if opset < 11:
        return node("Upsample" if opset < 10 else "Resize", ["h", "scales"], ["u"], mode="nearest")
    region = "" if opset >= 13 else "region"
    how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return node("Resize", ["h", region, "scales"], ["u"], mode="nearest", **how)


def int8_pairs(opset: int) -> onnx.ModelProto:
    """Convolution and head of an int8 file with pairs of QuantizeLinear and DequantizeLinear, as quantizers write it.

    Weights of full range with a scale a channel, zero points that aren't 0; most such files have an opset below 19.
    """
    random = np.random.default_rng(26324)
    scales = random.uniform(0.0004, 0.0009, 6).astype(np.float32)
    held = {
        "xs": np.float32(0.01731),
        "xz": np.uint8(13),
        "ys": np.float32(0.05127),
        "yz": np.uint8(119),
        "w": random.integers(-127, 128, (6, 3, 3, 3)).astype(np.int8),
        "ws": scales,
        "wz": np.zeros(6, np.int8),
        "b": random.integers(-400, 400, 6).astype(np.int32),
        "bs": np.float32(0.01731) * scales,
        "bz": np.zeros(6, np.int32),
        "head": random.normal(size=(6, 5)).astype(np.float32),
    }
    nodes = [
        node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]),
        node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=0),
        node("DequantizeLinear", ["b", "bs", "bz"], ["bd"], axis=0),
        node("Conv", ["xd", "wd", "bd"], ["c"], pads=[1] * 4, strides=[2, 2]),
        node("QuantizeLinear", ["c", "ys", "yz"], ["yq"]),
        node("DequantizeLinear", ["yq", "ys", "yz"], ["yd"]),
        node("GlobalAveragePool", ["yd"], ["p"]),
        node("Flatten", ["p"], ["f"]),
        node("Gemm", ["f", "head"], ["y"]),
    ]
    return graph(nodes, ["batch", 3, "height", "width"], 2, held, opset)


def roi_align() -> onnx.ModelProto:
    """Features (batch, 4, 24, 30), boxes (n, 4), images (n,) → (n, 4, 3, 2), with the default of sampling_ratio."""
    pooled = node("RoiAlign", ["x", "boxes", "images"], ["y"], output_height=3, output_width=2, spatial_scale=0.5)
    model = graph([pooled], ["batch", 4, 24, 30], 4, {}, 16)
    model.graph.input.append(helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["n", 4]))
    model.graph.input.append(helper.make_tensor_value_info("images", TensorProto.INT64, ["n"]))
    return model
