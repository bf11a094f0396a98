"""ONNX's own evaluator, with operators of ours where its own aren't the standard's, and with each node in sight.

Each of ours is compared with ONNX Runtime like all the rest, see onnx_yardstick.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator, ops
from onnx.reference.op_run import OpFunction, OpRun
from onnx.reference.ops.op_dequantize_linear import DequantizeLinear_19

from ...arrays import Array

# (node, its inputs, its outputs, what computes it again for other inputs) -> the outputs to go on with.
Hook = Callable[[Any, Sequence[Any], Sequence[Any], Callable[..., Sequence[Any]]], Sequence[Any]]


class Erf(OpRun):
    """The error function in the dtype of x: ONNX's own computes float64 in float32 (seen with onnx 1.23)."""

    def _run(self, x: Array) -> tuple[Array]:
        found = [math.erf(value) for value in x.ravel().tolist()]
        return (np.asarray(found, np.float64).reshape(x.shape).astype(x.dtype),)


class BatchNormalization(OpRun):
    """Of opsets 7 to 13, which say: one output is inference, more are training.

    https://onnx.ai/onnx/operators/onnx__BatchNormalization.html; with `spatial=0` (to opset 8) each position has
    statistics of its own. Before opset 7 `is_test` says which of the two it is.
    """

    def _run(self, x: Array, scale: Array, bias: Array, mean: Array, var: Array, **attributes: Any) -> tuple[Array]:
        opset = self.run_params["opsets"].get("", 0)
        if len(self.onnx_node.output) > 1 or (opset < 7 and not attributes.get("is_test")):
            raise NotImplementedError(f"BatchNormalization of opset {opset} in training mode")
        if attributes.get("spatial", 1):
            shape = (-1, *(1,) * (x.ndim - 2))
            scale, bias, mean, var = (value.reshape(shape) for value in (scale, bias, mean, var))
        found = scale * (x - mean) / np.sqrt(var + attributes["epsilon"]) + bias
        return (found.astype(x.dtype),)


class GatherElements(OpRun):
    """With a negative axis, negative indices and an index that is shorter than the data in other axes, too.

    https://onnx.ai/onnx/operators/onnx__GatherElements.html.
    """

    def _run(self, data: Array, indices: Array, axis: int | None = None) -> tuple[Array]:
        axis = (axis or 0) % data.ndim
        part = tuple(slice(None) if i == axis else slice(length) for i, length in enumerate(indices.shape))
        return (np.take_along_axis(data[part], indices.astype(np.int64), axis),)


class GlobalMaxPool(OpRun):
    """Over all axes after the second, however many: ONNX's own always takes two, of which one may be the channels."""

    def _run(self, x: Array) -> tuple[Array]:
        return (x.max(axis=tuple(range(2, x.ndim)), keepdims=True),)


class DequantizeLinear(DequantizeLinear_19):
    """Of opsets 10 to 18, of which ONNX's evaluator has none; opset 19 adds dtypes and nothing else."""

    op_schema = onnx.defs.get_schema("DequantizeLinear", 13)


class Resize(ops.op_resize.Resize):
    """Of opset 10, and Upsample: coordinates are divided by the scale, and the nearest element is the one below.

    That is how https://onnx.ai/onnx/operators/onnx__Resize.html describes them since: "asymmetric" and "floor".
    """

    op_schema = onnx.defs.get_schema("Resize", 10)

    def _run(self, x: Array, scales: Array | None = None, mode: str = "", **attributes: Any) -> Any:  # type: ignore[override]
        if scales is None:
            scales = np.asarray(attributes["scales"], np.float32)  # an attribute of Upsample in opset 7
        named = {"linear": "linear", "bilinear": "linear"}
        return super()._run(
            x,
            None,
            scales,
            mode=named.get(mode, "nearest"),
            nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        )


class Upsample(Resize):
    """See there."""

    op_schema = onnx.defs.get_schema("Upsample", 9)


class Upsample7(Resize):
    """See there."""

    op_schema = onnx.defs.get_schema("Upsample", 7)


@dataclass(frozen=True)
class Ours:
    """An operator of ours. until: the first opset in which ONNX's own is right; 0 for never. why: what its own does."""

    operator: type[Any]
    until: int = 0
    why: str = ""


OURS: Mapping[str, Ours] = {
    "Erf": Ours(Erf),
    "BatchNormalization": Ours(BatchNormalization, 14, "takes the batch's statistics there, or fails"),
    "Resize": Ours(Resize, 11, "takes the coordinates of later opsets"),
    "Upsample": Ours(Upsample, 0, "repeats whole elements and does nothing else"),
    "GatherElements": Ours(GatherElements, 0, "fails for an axis of -1 and for a shorter index"),
    "GlobalMaxPool": Ours(GlobalMaxPool, 0, "pools the wrong axes unless there are four"),
    "DequantizeLinear": Ours(DequantizeLinear, 19, "has none there"),
}


# What a direction of a recurrent operator computes with by default; ONNX's evaluator knows nothing else.
_ACTIVATIONS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}


def _unread(node: onnx.NodeProto) -> list[str]:
    """Attributes of a recurrent operator that ONNX's evaluator doesn't look at, and that would change the result."""
    given = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    activations = [name.decode() for name in given.get("activations", ())]
    default = _ACTIVATIONS[node.op_type]
    found = [name for name in ("clip", "input_forget", "activation_alpha", "activation_beta") if given.get(name)]
    return found if activations in ([], default, default * 2) else ["activations", *found]


class Evaluator(ReferenceEvaluator):
    """ONNX's evaluator with our operators; subgraphs and functions (Gelu) are evaluated by one of the same class.

    hook: sees each node's result, see `hooked`.
    """

    hook: ClassVar[Hook | None] = None

    def _load_impl(self, node: Any, input_types: Any = None) -> Any:
        ours = OURS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        if ours is not None and (not ours.until or self.opsets.get(node.domain, 0) < ours.until):
            return Upsample7 if node.op_type == "Upsample" and len(node.input) == 1 else ours.operator
        if node.op_type in _ACTIVATIONS and (unread := _unread(node)):
            raise NotImplementedError(f"{node.op_type} is evaluated without regard to {', '.join(unread)}")
        return super()._load_impl(node, input_types)

    def _init(self) -> None:
        super()._init()
        if self.hook is not None:
            self.rt_nodes_ = [_Seen(node, type(self).hook) for node in self.rt_nodes_]


def hooked(hook: Hook) -> type[Evaluator]:
    """An evaluator that hands each node's result to a hook, and goes on with what that returns.

    A class of its own, since the evaluators of subgraphs and functions are made from nothing but the class.
    """
    return type("Hooked", (Evaluator,), {"hook": staticmethod(hook)})


class _Seen:
    """A node whose result a hook sees. One that has nodes of its own has these seen, and not itself."""

    def __init__(self, node: Any, hook: Any) -> None:
        self._node, self._hook = node, hook

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)

    def run(self, *inputs: Any, **named: Any) -> Any:
        node = self._node
        outputs = node.run(*inputs, **named)
        if node.has_subgraph or isinstance(node, OpFunction):
            return outputs
        return tuple(self._hook(node, inputs, outputs, lambda *other: node.run(*other, **named)))


def replaced(model: onnx.ModelProto) -> list[str]:
    """What of ours stands in for ONNX's own in a model, as clauses; of opsets, as they are, and why."""
    opset = {entry.domain: entry.version for entry in model.opset_import}.get("", 0)
    found = []
    for name, ours in OURS.items():
        if ours.why and (not ours.until or opset < ours.until) and name in _operators(model.graph):
            of = f" of opset {opset}" if ours.until else ""
            found.append(f"{name}{of} is ours, since ONNX's {ours.why}")
    return found


def _operators(graph: onnx.GraphProto) -> set[str]:
    """Names of ONNX's operators in a graph and its subgraphs."""
    found = {node.op_type for node in graph.node if node.domain in ("", "ai.onnx")}
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found |= _operators(attribute.g)
    return found
