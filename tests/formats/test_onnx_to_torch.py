"""ONNX files back in PyTorch."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from pytest_modelconform.formats.base import ExportMismatch
from pytest_modelconform.formats.frameworks.onnx_to_torch import constants_as_weights, converted, dynamic_shapes

X = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)


def constant(name: str, value: np.ndarray[Any, Any]) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value, f"{name}_value"))


def paddle_like(*without: str) -> onnx.ModelProto:
    """A convolution, a normalization and a scale whose weights are Constant nodes; one is returned as well."""
    generator = np.random.default_rng(1)
    weights = {
        "conv1_weights": generator.standard_normal((4, 3, 3, 3)),
        "bn_scale": generator.uniform(0.5, 1.5, 4),
        "bn_bias": generator.standard_normal(4),
        "bn_mean": generator.standard_normal(4),
        "bn_var": generator.uniform(0.5, 1.5, 4),
    }
    nodes = [constant(name, value.astype(np.float32)) for name, value in weights.items() if name not in without]
    nodes += [
        helper.make_node("Conv", ["x", "conv1_weights"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c", "bn_scale", "bn_bias", "bn_mean", "bn_var"], ["n"]),
        helper.make_node("Constant", [], ["two"], value_float=2.0),
        helper.make_node("Mul", ["n", "two"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "paddle",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4, "h", "w"])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)


def built(model: onnx.ModelProto) -> Any:
    call: Any = ((torch.from_numpy(X),), {})
    return SimpleNamespace(clone_inputs=lambda: call, model=SimpleNamespace(adapter=SimpleNamespace(model=model)))


def test_dynamic_dimensions_are_the_cases_own() -> None:
    height = torch.export.Dim("height", min=2)
    spec = ({0: torch.export.Dim("n"), 2: 4 * height, 3: torch.export.Dim.AUTO}, None)
    case: Any = SimpleNamespace(
        dynamic_shapes=spec, input_leaves=[{"shape": ["n", 3, "4*height", "any"]}, {"shape": [2]}]
    )
    first, second = dynamic_shapes(case)
    assert (first[0], first[2], first[3]) == (spec[0][0], spec[0][2], torch.export.Dim.AUTO)
    assert second == {}

    class Doubled(torch.nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return 2 * x + y.sum()

    program = torch.export.export(Doubled(), (torch.ones(2, 3, 8, 8), torch.ones(2)), dynamic_shapes=(first, second))
    shape = next(node.meta["val"].shape for node in program.graph.nodes if node.name == "x")
    assert [isinstance(length, int) for length in shape] == [False, True, False, False]
    assert str(shape[2]).startswith("4*")


def evaluated(model: onnx.ModelProto) -> Any:
    returned: Any = ReferenceEvaluator(model).run(None, {"x": X})
    return returned[0]


def test_constants_are_weights_in_a_copy() -> None:
    model = paddle_like()
    changed = constants_as_weights(model)
    names = ["conv1_weights", "bn_scale", "bn_bias", "bn_mean", "bn_var"]
    assert [tensor.name for tensor in changed.graph.initializer] == names
    # A single number stays the node that it is.
    assert [node.op_type for node in changed.graph.node] == ["Conv", "BatchNormalization", "Constant", "Mul"]
    assert (len(model.graph.initializer), len(model.graph.node)) == (0, 9)
    assert np.array_equal(evaluated(model), evaluated(changed))


def test_a_constant_that_is_returned_stays() -> None:
    model = paddle_like()
    model.graph.output.append(helper.make_tensor_value_info("bn_var", TensorProto.FLOAT, [4]))
    assert "bn_var" not in [tensor.name for tensor in constants_as_weights(model).graph.initializer]


def test_weights_in_constant_nodes_are_converted() -> None:
    module, args = converted(built(paddle_like()))
    with torch.no_grad():
        found = module(*args)
    assert found.numpy() == pytest.approx(evaluated(paddle_like()), abs=1e-4)


def test_a_weight_that_is_not_there_is_a_sentence() -> None:
    model = paddle_like("conv1_weights")
    # Made by the graph, which is fine in ONNX and nothing that onnx2torch knows.
    made = helper.make_node("Identity", ["given"], ["conv1_weights"])
    model.graph.node.insert(0, made)
    model.graph.initializer.append(numpy_helper.from_array(np.ones((4, 3, 3, 3), np.float32), "given"))
    with pytest.raises(ExportMismatch, match="onnx2torch looks for 'conv1_weights' among the graph's initializers"):
        converted(built(model))
