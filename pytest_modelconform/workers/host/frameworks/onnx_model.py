"""A model that is an ONNX file: its reference is ONNX's own evaluator."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from ...arrays import Array
from . import by_position

_FLOATS = (TensorProto.FLOAT,)
# By operator, the attribute that is float32 if it isn't given. Other norms have a stash_type, too, but aren't evaluated
# by it, and LayerNormalization refuses any but the default.
_STASH = ("GroupNormalization", "stash_type")
_DEFAULTS: Mapping[str, tuple[str, Any]] = {
    "ConstantOfShape": ("value", numpy_helper.from_array(np.zeros(1, np.float32))),
    "GroupNormalization": ("stash_type", int(TensorProto.FLOAT)),
}


class Erf(OpRun):
    """The error function in the dtype of x: ONNX's own computes float64 in float32 (seen with onnx 1.23)."""

    op_domain = ""

    def _run(self, x: Array) -> tuple[Array]:
        found = [math.erf(value) for value in x.ravel().tolist()]
        return (np.asarray(found, np.float64).reshape(x.shape).astype(x.dtype),)


class Evaluator(ReferenceEvaluator):
    """ONNX's evaluator with our Erf; in operators made of others (Gelu), too, which one of the same class evaluates."""

    def __init__(self, model: Any, *args: Any, **named: Any) -> None:
        super().__init__(model, *args, **{**named, "new_ops": [Erf]})


class OnnxAdapter:
    """model: as it was loaded, with its weights."""

    def __init__(self, model: onnx.ModelProto) -> None:
        onnx.checker.check_model(model, full_check=True)
        self.model = model
        held = {tensor.name for tensor in model.graph.initializer}
        self.inputs: Sequence[str] = [value.name for value in model.graph.input if value.name not in held]
        self.outputs = [value.name for value in model.graph.output]
        tensors = {tensor.name: tensor for tensor in model.graph.initializer if tensor.data_type in _FLOATS}
        self.parameters: Mapping[str, Array] = {
            name: np.array(numpy_helper.to_array(tensor)) for name, tensor in tensors.items()
        }
        self._float64: onnx.ModelProto | None = None

    def run(self, parameters: Mapping[str, Array], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The graph's outputs, in its order; one of them alone."""
        arrays = [np.asarray(value) for value in by_position(self, args, kwargs)]
        wide = any(array.dtype == np.float64 for array in (*parameters.values(), *arrays))
        model = onnx.ModelProto()
        model.CopyFrom(self._wide() if wide else self.model)
        for tensor in model.graph.initializer:
            if tensor.name in parameters:
                tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(parameters[tensor.name]), tensor.name))
        found = Evaluator(model).run(None, dict(zip(self.inputs, arrays, strict=True)))
        # The evaluator may widen what numpy would (a mean of float32 in float64): the graph says what comes out.
        outputs = tuple(np.asarray(value) for value in found)
        return outputs[0] if len(outputs) == 1 else outputs

    def _wide(self) -> onnx.ModelProto:
        if self._float64 is None:
            self._float64 = in_float64(self.model)
        return self._float64


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


def adapt(model: Any) -> OnnxAdapter:
    """Raises TypeError for what is neither a file nor a model."""
    if isinstance(model, (str, os.PathLike)):
        return OnnxAdapter(onnx.load(os.fspath(model)))
    if isinstance(model, onnx.ModelProto):
        return OnnxAdapter(model)
    raise TypeError(f"a model in ONNX is a path or an onnx.ModelProto, not a {type(model).__name__}")
