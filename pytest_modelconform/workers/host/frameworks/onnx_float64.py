"""A model in ONNX with float64 for float32 throughout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

# By operator, the attribute that is float32 if it isn't given. Other norms have a stash_type, too, but aren't evaluated
# by it, and LayerNormalization refuses any but the default.
_STASH = ("GroupNormalization", "stash_type")
_DEFAULTS: Mapping[str, tuple[str, Any]] = {
    "ConstantOfShape": ("value", numpy_helper.from_array(np.zeros(1, np.float32))),
    "GroupNormalization": ("stash_type", int(TensorProto.FLOAT)),
}


def in_float64(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a model in which all that is float32 is float64: weights, constants, casts, inputs and outputs."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    _say_defaults(wide.graph)
    _widen_graph(wide.graph)
    for function in wide.functions:
        _say_defaults(function)
        _widen_nodes(function.node)
    return wide


def _say_defaults(graph: Any) -> None:
    """Write down what nodes leave to a default of float32. graph: an onnx.GraphProto or FunctionProto."""
    for node in graph.node:
        given = {attribute.name for attribute in node.attribute}
        if node.op_type in _DEFAULTS and not node.domain:
            name, value = _DEFAULTS[node.op_type]
            if name not in given:
                node.attribute.append(onnx.helper.make_attribute(name, value))
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _say_defaults(attribute.g)


def _widen_graph(graph: onnx.GraphProto) -> None:
    for tensor in graph.initializer:
        _widen_tensor(tensor)
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.DOUBLE
    _widen_nodes(graph.node)


def _widen_nodes(nodes: Any) -> None:
    for node in nodes:
        for attribute in node.attribute:
            named = attribute.name in ("to", "dtype") or (node.op_type, attribute.name) == _STASH
            if named and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.DOUBLE
            elif attribute.name in ("value_float", "value_floats"):
                values = attribute.floats if attribute.name.endswith("s") else attribute.f
                attribute.CopyFrom(
                    onnx.helper.make_attribute("value", numpy_helper.from_array(np.asarray(values, np.float64)))
                )
            elif attribute.HasField("t"):
                _widen_tensor(attribute.t)
            elif attribute.HasField("g"):
                _widen_graph(attribute.g)


def _widen_tensor(tensor: onnx.TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))
