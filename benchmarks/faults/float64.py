"""ONNX models in float64, by ONNX's reference implementation."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import torch
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

_NARROW = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16)


class Conv(OpRun):
    """ONNX's own takes seconds a call, torch's double precision milliseconds."""

    op_domain = ""

    def _run(
        self,
        x: Any,
        w: Any,
        bias: Any = None,
        auto_pad: str | None = None,
        dilations: Any = None,
        group: int | None = None,
        kernel_shape: Any = None,
        pads: Any = None,
        strides: Any = None,
    ) -> tuple[Any]:
        """Called by name of the attribute. `auto_pad` isn't used by PyTorch's exporters."""
        n = x.ndim - 2
        pads = pads or [0] * 2 * n
        values, weight, add = (None if v is None else torch.from_numpy(np.ascontiguousarray(v)) for v in (x, w, bias))
        assert values is not None
        padding = [end for axis in reversed(range(n)) for end in (pads[axis], pads[axis + n])]
        convolution: Any = (torch.conv1d, torch.conv2d, torch.conv3d)[n - 1]
        padded = torch.nn.functional.pad(values, padding)
        options = {"stride": strides or [1] * n, "dilation": dilations or [1] * n, "groups": group or 1}
        return (convolution(padded, weight, add, **options).numpy(),)


def in_double(model: ModelProto) -> ModelProto:
    """A copy of a model with every constant in float64, and every cast to less a cast to float64."""
    wide = ModelProto()
    wide.CopyFrom(model)
    _widen(wide.graph)
    return wide


def evaluate(model: ModelProto, fetches: list[str], feeds: dict[str, Any]) -> list[Any]:
    """Outputs of a model. Raises whatever the reference implementation raises."""
    with np.errstate(all="ignore"):
        found: Any = ReferenceEvaluator(model, new_ops=[Conv]).run(fetches, feeds)
    return list(found)


def _widen(graph: GraphProto) -> None:
    for tensor in graph.initializer:
        _widen_tensor(tensor)
    for node in graph.node:
        if node.op_type == "ConstantOfShape" and not node.attribute:
            node.attribute.append(helper.make_attribute("value", numpy_helper.from_array(np.zeros(1))))
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                _widen_tensor(attribute.t)
            elif attribute.type == AttributeProto.GRAPH:
                _widen(attribute.g)
            elif node.op_type == "Cast" and attribute.name == "to" and attribute.i in _NARROW:
                attribute.i = TensorProto.DOUBLE


def _widen_tensor(tensor: onnx.TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))
