"""Operators of ours are the standard's, in every opset, and a hook sees each node, in subgraphs and functions, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from pytest_modelconform.workers.arrays import Array
from pytest_modelconform.workers.host.frameworks.onnx_evaluator import Evaluator, hooked, replaced
from tests.support.onnx_graphs import batch_norm, graph, node, normal


def evaluated(model: onnx.ModelProto, x: Array) -> Array:
    found: list[Any] = Evaluator(model).run(None, {"x": x})  # type: ignore[assignment]
    return np.asarray(found[0])


@pytest.mark.parametrize("opset", [6, 7, 8, 9, 12, 13, 14, 15])
def test_batch_norms_of_every_opset_take_the_stored_statistics(opset: int) -> None:
    model = batch_norm(opset, epsilon=1e-3, **({"is_test": 1} if opset < 7 else {}))
    weights = {
        tensor.name: torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy()) for tensor in model.graph.initializer
    }
    x = normal(3, 4, 5, 6)
    s, b, m, v = (weights[name].double() for name in "sbmv")
    wanted = torch.nn.functional.batch_norm(torch.from_numpy(x).double(), m, v, s, b, eps=float(np.float32(1e-3)))
    np.testing.assert_allclose(evaluated(model, x), wanted.numpy(), rtol=1e-5, atol=1e-5)


def test_batch_norm_with_statistics_of_each_position() -> None:
    x = normal(3, 4, 2)
    weights = {name: normal(4, 2, seed=seed) for seed, name in enumerate("sbm")} | {
        "v": np.full((4, 2), 2.0, np.float32)
    }
    model = graph([node("BatchNormalization", list("xsbmv"), ["y"], spatial=0)], [3, 4, 2], 3, weights, 7)
    wanted = weights["s"] * (x - weights["m"]) / np.sqrt(weights["v"] + np.float32(1e-5)) + weights["b"]
    np.testing.assert_allclose(evaluated(model, x), wanted, rtol=1e-6)


def test_a_batch_norm_in_training_mode_is_not_taken_for_inference() -> None:
    with pytest.raises(NotImplementedError, match="BatchNormalization of opset 6 in training mode"):
        evaluated(batch_norm(6), normal(3, 4, 5, 6))


@pytest.mark.parametrize("axis", [-1, 0, 1, 2])
def test_gather_elements_along_any_axis_with_a_shorter_index(axis: int) -> None:
    x, index = normal(4, 5, 6), np.random.default_rng(3).integers(-3, 3, (2, 3, 4))
    model = graph([node("GatherElements", ["x", "i"], ["y"], axis=axis)], x.shape, 3, {"i": index}, 13)
    positive = torch.from_numpy(np.where(index < 0, index + x.shape[axis], index))
    wanted = torch.gather(torch.from_numpy(x), axis, positive).numpy()
    np.testing.assert_array_equal(evaluated(model, x), wanted)


def test_more_elements_than_numpy_chooses_from() -> None:
    x, index = normal(2, 100), np.random.default_rng(3).integers(0, 100, (2, 7))
    model = graph([node("GatherElements", ["x", "i"], ["y"], axis=-1)], x.shape, 2, {"i": index}, 13)
    np.testing.assert_array_equal(evaluated(model, x), np.take_along_axis(x, index, 1))


@pytest.mark.parametrize("rank", [3, 4, 5])
def test_global_max_pools_of_any_rank(rank: int) -> None:
    x = normal(*(2, 3, 4, 5, 6)[:rank])
    model = graph([node("GlobalMaxPool", ["x"], ["y"])], x.shape, rank, {}, 13)
    np.testing.assert_array_equal(evaluated(model, x), x.max(axis=tuple(range(2, rank)), keepdims=True))


@pytest.mark.parametrize("opset", [10, 13, 17, 19, 21])
def test_dequantized_by_channel_or_as_a_whole(opset: int) -> None:
    stored = np.random.default_rng(0).integers(-128, 128, (4, 3)).astype(np.int8)
    scale, zero = np.float32(0.25), np.int8(7)
    x = normal(3, 3)
    nodes = [node("DequantizeLinear", ["w", "scale", "zero"], ["d"]), node("MatMul", ["d", "x"], ["y"])]
    model = graph(nodes, x.shape, 2, {"w": stored, "scale": scale, "zero": zero}, opset)
    wide = (stored.astype(np.float32) - 7) * np.float32(0.25)
    np.testing.assert_allclose(evaluated(model, x), wide @ x, rtol=1e-6, atol=1e-5)
    if opset >= 13:
        scales, zeros = np.array([0.25, 0.5, 1, 2], np.float32), np.array([0, 1, 2, 3], np.int8)
        nodes[0].attribute.append(helper.make_attribute("axis", 0))
        model = graph(nodes, x.shape, 2, {"w": stored, "scale": scales, "zero": zeros}, opset)
        wide = (stored.astype(np.float32) - zeros[:, None]) * scales[:, None]
        np.testing.assert_allclose(evaluated(model, x), wide @ x, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize(("opset", "name"), [(7, "Upsample"), (9, "Upsample"), (10, "Resize")])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_old_resizing_is_asymmetric(opset: int, name: str, mode: str) -> None:
    x = np.array([[[0.0, 1.0, 4.0]]], np.float32)
    held = {} if opset == 7 else {"k": np.array([1, 1, 2], np.float32)}
    attributes: dict[str, Any] = {"scales": [1.0, 1.0, 2.0]} if opset == 7 else {}
    model = graph([node(name, ["x", *held], ["y"], mode=mode, **attributes)], x.shape, 3, held, opset)
    wanted = [0, 0, 1, 1, 4, 4] if mode == "nearest" else [0, 0.5, 1, 2.5, 4, 4]
    np.testing.assert_allclose(evaluated(model, x).ravel(), wanted)


def test_what_a_recurrent_operator_would_be_evaluated_without_is_said() -> None:
    held = {"w": normal(1, 8, 3), "r": normal(1, 8, 2)}
    for more, says in ({"clip": 0.5}, "clip"), ({"activations": ["HardSigmoid", "Tanh", "Tanh"]}, "activations"):
        model = graph([node("LSTM", ["x", "w", "r"], ["y"], hidden_size=2, **more)], [4, 1, 3], 4, held, 14)
        with pytest.raises(NotImplementedError, match=f"LSTM is evaluated without regard to {says}"):
            evaluated(model, normal(4, 1, 3))
    same = node("LSTM", ["x", "w", "r"], ["y"], hidden_size=2, activations=["Sigmoid", "Tanh", "Tanh"])
    assert evaluated(graph([same], [4, 1, 3], 4, held, 14), normal(4, 1, 3)).shape == (4, 1, 1, 2)


def test_what_of_ours_a_model_has_is_said() -> None:
    assert replaced(batch_norm(9)) == [
        "BatchNormalization of opset 9 is ours, since ONNX's takes the batch's statistics there, or fails"
    ]
    assert replaced(batch_norm(15)) == []
    assert replaced(graph([node("Erf", ["x"], ["y"])], [3], 1)) == []


def test_a_hook_sees_nodes_of_subgraphs_and_functions_and_may_compute_them_again() -> None:
    branch = helper.make_graph(
        [node("Mul", ["x", "two"], ["inner"])],
        "branch",
        [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, [3])],
    )
    nodes = [
        node("If", ["yes"], ["a"], then_branch=branch, else_branch=branch),
        node("Gelu", ["a"], ["g"]),
        node("Relu", ["g"], ["y"]),
    ]
    model = graph(nodes, [3], 1, {"yes": np.array(True), "two": np.float32(2)})
    x = normal(3)
    seen: list[str] = []

    def hook(one: Any, inputs: Sequence[Any], outputs: Sequence[Any], again: Any) -> Sequence[Any]:
        seen.append(one.op_type)
        if one.op_type == "Mul" and inputs[0].shape == (3,) and np.array_equal(inputs[0], x):
            return again(inputs[0] + 1, *inputs[1:])
        return outputs

    found: list[Any] = hooked(hook)(model).run(None, {"x": x})  # type: ignore[assignment]
    assert {"Mul", "Erf", "Relu"} <= set(seen)
    assert not {"If", "Gelu"} & set(seen)
    np.testing.assert_array_equal(found[0], evaluated(model, x + 1))
