"""Faults in the graph of an ONNX model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
from onnx import GraphProto, NodeProto, helper, numpy_helper

from pytest_modelconform.references.prepared import InputSet

from .artifact import OnnxArtifact, read_inputs, session
from .mutants import Faulty, Mutant, NotApplicable, of_artifact

# Changes a node in place. Raises NotApplicable.
Change = Callable[[GraphProto, NodeProto], None]


def attribute(node: NodeProto, name: str, default: Any = None) -> Any:
    """The value of an attribute."""
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def put(node: NodeProto, name: str, value: Any) -> None:
    """Set an attribute. Raises NotApplicable where it has that value already."""
    if attribute(node, name) == value:
        raise NotApplicable
    for i, found in enumerate(node.attribute):
        if found.name == name:
            del node.attribute[i]
            break
    node.attribute.append(helper.make_attribute(name, value))


def as_identity(node: NodeProto, source: str) -> None:
    """Make the node return one value unchanged."""
    node.op_type, node.domain = "Identity", ""
    del node.attribute[:]
    del node.input[:]
    node.input.append(source)


def constant(graph: GraphProto, name: str) -> Any:
    """The array of a constant of a graph, or None."""
    for tensor in graph.initializer:
        if tensor.name == name:
            return numpy_helper.to_array(tensor)
    for node in graph.node:
        if node.op_type == "Constant" and node.output[0] == name and attribute(node, "value") is not None:
            return numpy_helper.to_array(attribute(node, "value"))
    return None


def scaled(name: str, default: float, factor: float) -> Change:
    """An attribute times a factor."""
    return lambda graph, node: put(node, name, attribute(node, name, default) * factor)


def setting(name: str, value: Any) -> Change:
    """An attribute with another value."""
    return lambda graph, node: put(node, name, value)


def turned(name: str) -> Change:
    """A flag turned; all are 0 unless given."""
    return lambda graph, node: put(node, name, 1 - attribute(node, name, 0))


def operand_scaled(factor: float, least: float, most: float) -> Change:
    """A scalar constant operand whose size is in a range, times a factor."""

    def change(graph: GraphProto, node: NodeProto) -> None:
        for i, name in enumerate(node.input):
            value = constant(graph, name)
            if value is not None and value.size == 1 and value.dtype == np.float32 and least <= abs(value) <= most:
                graph.initializer.append(numpy_helper.from_array(value * np.float32(factor), f"{name}_fault"))
                node.input[i] = f"{name}_fault"
                return
        raise NotApplicable

    return change


def dropped(graph: GraphProto, node: NodeProto) -> None:
    """The first operand unchanged."""
    as_identity(node, node.input[0])


def term_dropped(graph: GraphProto, node: NodeProto) -> None:
    """The first of two computed operands, without the other."""
    if any(constant(graph, name) is not None for name in node.input):
        raise NotApplicable
    dropped(graph, node)


def operands_swapped(first: int) -> Change:
    """Two operands that have changed places."""

    def change(graph: GraphProto, node: NodeProto) -> None:
        node.input[first], node.input[first + 1] = node.input[first + 1], node.input[first]

    return change


def reversed_operands(graph: GraphProto, node: NodeProto) -> None:
    """All operands in reverse order."""
    names = list(node.input)
    if names == names[::-1]:
        raise NotApplicable
    node.input[:] = names[::-1]


def other_gelu(graph: GraphProto, node: NodeProto) -> None:
    """By erf where it is by tanh, and the other way round."""
    put(node, "approximate", "none" if attribute(node, "approximate", b"none") == b"tanh" else "tanh")


def other_axis(graph: GraphProto, node: NodeProto) -> None:
    """The axis before."""
    put(node, "axis", attribute(node, "axis", -1) - 1)


def other_corners(graph: GraphProto, node: NodeProto) -> None:
    """align_corners where pixels are halved, and the other way round."""
    aligned = attribute(node, "coordinate_transformation_mode", b"half_pixel") == b"align_corners"
    put(node, "coordinate_transformation_mode", "half_pixel" if aligned else "align_corners")


def nearest(graph: GraphProto, node: NodeProto) -> None:
    """The nearest pixel."""
    put(node, "mode", "nearest")
    put(node, "nearest_mode", "floor")


def dilated(graph: GraphProto, node: NodeProto) -> None:
    """A dilation of 2 and the padding that keeps the shape."""
    kernel = attribute(node, "kernel_shape") or (constant(graph, node.input[1])).shape[2:]
    pads = attribute(node, "pads", [0] * 2 * len(kernel))
    dilations = attribute(node, "dilations", [1] * len(kernel))
    if all(size == 1 for size in kernel) or any(size % 2 == 0 for size in kernel):
        raise NotApplicable
    more = [(size - 1) // 2 * d for size, d in zip(kernel, dilations, strict=True)] * 2
    put(node, "dilations", [2 * d for d in dilations])
    put(node, "pads", [p + m for p, m in zip(pads, more, strict=True)])


def padded_behind(graph: GraphProto, node: NodeProto) -> None:
    """Padded by two behind instead of one on each side."""
    pads = attribute(node, "pads", [])
    half = len(pads) // 2
    if not any(pads):
        raise NotApplicable
    put(node, "pads", [p - 1 if p else 0 for p in pads[:half]] + [p + 1 if p else 0 for p in pads[half:]])


def not_transposed(graph: GraphProto, node: NodeProto) -> None:
    """Read in another shape instead of transposed: right where the transposed axes have equal lengths."""
    dropped(graph, node)


# kind -> (operators, change); each such node is a mutant.
FAULTS: dict[str, tuple[tuple[str, ...], Change]] = {
    "layer norm's epsilon × 0.1": (("LayerNormalization",), scaled("epsilon", 1e-5, 0.1)),
    "layer norm's epsilon × 10": (("LayerNormalization",), scaled("epsilon", 1e-5, 10.0)),
    "group norm's epsilon × 0.1": (("InstanceNormalization", "GroupNormalization"), scaled("epsilon", 1e-5, 0.1)),
    "group norm's epsilon × 10": (("InstanceNormalization", "GroupNormalization"), scaled("epsilon", 1e-5, 10.0)),
    "written-out epsilon × 0.1": (("Add",), operand_scaled(0.1, 1e-9, 1e-3)),
    "written-out epsilon × 10": (("Add",), operand_scaled(10.0, 1e-9, 1e-3)),
    "batch norm's epsilon 1e-3": (("BatchNormalization",), setting("epsilon", 1e-3)),
    "GELU by the other formula": (("Gelu",), other_gelu),
    "align_corners turned": (("Resize",), other_corners),
    "nearest for bilinear": (("Resize",), nearest),
    "mask inverted": (("Where",), operands_swapped(1)),
    "softmax over another axis": (("Softmax", "LogSoftmax"), other_axis),
    "scale × 1.01": (("Mul", "Div", "Pow"), operand_scaled(1.01, 1e-9, 1e9)),
    "activation dropped": (("Relu", "Clip", "HardSwish", "HardSigmoid", "Sigmoid", "Gelu", "Tanh"), dropped),
    "padding counted or not": (("AveragePool",), turned("count_include_pad")),
    "ceil_mode turned": (("AveragePool", "MaxPool"), turned("ceil_mode")),
    "convolution dilated": (("Conv",), dilated),
    "convolution padded behind": (("Conv",), padded_behind),
    "residual dropped": (("Add",), term_dropped),
    "subtrahend and minuend swapped": (("Sub",), operands_swapped(0)),
    "concatenated in reverse": (("Concat",), reversed_operands),
    "transpose dropped": (("Transpose",), not_transposed),
}


def mutants(artifact: OnnxArtifact, entry: InputSet) -> Iterator[Mutant]:
    """Every fault at every node, and every computed value baked in as `entry` makes it."""
    for i, node in enumerate(artifact.model.graph.node):
        where = f"{node.op_type} {node.name or i}"
        for kind, (operators, change) in FAULTS.items():
            if node.op_type in operators:
                yield _mutant(artifact, kind, where, i, change)
        if node.op_type not in ("Constant", "Identity") and len(node.output) == 1:
            kind = "shape baked in" if node.op_type == "Shape" else "value baked in"
            yield _mutant(artifact, kind, where, i, _baked(artifact, entry))


def _mutant(artifact: OnnxArtifact, kind: str, where: str, i: int, change: Change) -> Mutant:
    def make() -> Faulty:
        model = artifact.copied()
        change(model.graph, model.graph.node[i])
        return of_artifact(artifact.with_model(model))

    return Mutant(kind, where, artifact.format, artifact.runtime, make)


def _baked(artifact: OnnxArtifact, entry: InputSet) -> Change:
    """The value that a node has for an input set, as a constant."""

    def change(graph: GraphProto, node: NodeProto) -> None:
        model = artifact.copied()
        name = node.output[0]
        if name not in {output.name for output in model.graph.output}:
            model.graph.output.append(onnx.ValueInfoProto(name=name))
        running = session(model.SerializeToString())
        found: list[Any] = []

        def run(fetches: list[str], feeds: dict[str, Any]) -> list[Any]:
            outputs: list[Any] = running.run([*fetches, name], feeds)
            found.append(outputs.pop())
            return outputs

        artifact.answer(entry, read_inputs(entry), run)
        graph.initializer.append(numpy_helper.from_array(np.asarray(found[0]), f"{name}_baked"))
        as_identity(node, f"{name}_baked")

    return change
