"""Which yardstick a model in ONNX gets, that it is right, and that nobody blames the model for what one lacks."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from onnx.reference.op_run import OpRun

from pytest_modelconform.workers.arrays import Array
from pytest_modelconform.workers.host import frameworks
from pytest_modelconform.workers.host.frameworks import NoisyModule, onnx_evaluator, onnx_yardstick
from pytest_modelconform.workers.host.frameworks.onnx_model import adapt
from pytest_modelconform.workers.host.frameworks.onnx_yardstick import YardstickFault, agreement
from pytest_modelconform.workers.host.references.float64 import Widened, run_wide
from tests.support.onnx_graphs import batch_norm, graph, node, normal, ocr_like


def settled(model: onnx.ModelProto, x: Array) -> tuple[NoisyModule, list[str]]:
    wrapped = frameworks.wrap("onnx", model)
    assert isinstance(wrapped, NoisyModule)
    return wrapped, wrapped.settle([((torch.from_numpy(x),), {})])


def bits(model: NoisyModule, x: Array, wanted: Array) -> float:
    found = agreement(model(torch.from_numpy(x)).numpy(), wanted)
    assert found is not None
    return found


def test_a_model_that_both_evaluate_alike_needs_no_word() -> None:
    x = normal(3, 4)
    _, notes = settled(graph([node("MatMul", ["x", "w"], ["y"])], ["batch", 4], 2, {"w": normal(4, 5)}), x)
    assert notes == []


@pytest.mark.parametrize("opset", [7, 8, 9, 11, 13])
def test_batch_norms_of_old_opsets_are_what_onnx_runtime_has(opset: int) -> None:
    x, model = normal(3, 4, 5, 6), batch_norm(opset)
    wrapped, notes = settled(model, x)
    assert bits(wrapped, x, onnx_yardstick.without_optimisation(model, {"x": x})[0]) > 20
    assert len(notes) == 1
    assert f"BatchNormalization of opset {opset} is ours, since ONNX's takes the batch's statistics" in notes[0]
    assert notes[0].endswith("without optimisation agrees")
    wide, impure = run_wide(Widened(wrapped).copy(), (torch.from_numpy(x),), {}, lambda m, a, k: m(*a, **k))
    assert (wide.dtype, impure) == (torch.float64, "")


@pytest.mark.parametrize("opset", [9, 10, 11, 13])
def test_a_recognizer_with_its_weights_as_constants(opset: int) -> None:
    model, x = ocr_like(opset), normal(2, 3, 8, 12)
    wrapped, notes = settled(model, x)
    assert bits(wrapped, x, onnx_yardstick.without_optimisation(model, {"x": x})[0]) > 20
    assert all("agrees" in note for note in notes)
    wide, impure = run_wide(Widened(wrapped).copy(), (torch.from_numpy(x),), {}, lambda m, a, k: m(*a, **k))
    assert (wide.dtype, impure) == (torch.float64, "")


@pytest.mark.parametrize(
    "one",
    [node("GatherElements", ["x", "i"], ["y"], axis=-1), node("GlobalMaxPool", ["x"], ["y"])],
    ids=lambda one: one.op_type,
)
def test_operators_that_onnx_fails_at(one: onnx.NodeProto) -> None:
    x, held = normal(2, 4, 5), {"i": np.random.default_rng(0).integers(0, 5, (2, 4, 3))}
    model = graph([one], x.shape, 3, held if "i" in one.input else {}, 13)
    wrapped, notes = settled(model, x)
    assert bits(wrapped, x, onnx_yardstick.without_optimisation(model, {"x": x})[0]) == np.inf
    assert f"{one.op_type} is ours, since ONNX's" in notes[0]


def test_what_older_opsets_mean_by_an_operator_is_found_in_a_newer_one() -> None:
    """A softmax of opset 9 flattens all from its axis on, ONNX's evaluator has that of opset 13."""
    x = normal(2, 3, 4)
    wrapped, notes = settled(graph([node("Softmax", ["x"], ["y"], axis=1)], ["batch", 3, 4], 3, {}, 9), x)
    wanted = torch.softmax(torch.from_numpy(x).flatten(1), 1).reshape(2, 3, 4)
    assert bits(wrapped, x, wanted.numpy()) > 20
    assert notes[0].startswith(
        "the yardstick is ONNX's evaluator on the model converted to opset 13 (without that it is"
    )
    assert "output 'y' agrees to" in notes[0]
    assert notes[0].endswith("without optimisation agrees")


def test_the_weights_of_a_converted_model_are_still_parameters() -> None:
    x, w = normal(2, 3, 4), normal(4, 4)
    nodes = [node("MatMul", ["x", "w"], ["p"]), node("Softmax", ["p"], ["y"], axis=1)]
    wrapped, notes = settled(graph(nodes, ["batch", 3, 4], 3, {"w": w}, 9), x)
    assert "converted" in notes[0]
    with torch.no_grad():
        next(wrapped.parameters()).mul_(2)
    wanted = torch.softmax((torch.from_numpy(x) @ torch.from_numpy(2 * w)).flatten(1), 1).reshape(2, 3, 4)
    assert bits(wrapped, x, wanted.numpy()) > 20


def foreign(**more: Any) -> onnx.ModelProto:
    one = node("Gelu", ["x"], ["g"], domain="com.microsoft")
    return graph([one, node("MatMul", ["g", "w"], ["y"])], ["batch", 4], 2, {"w": normal(4, 5)}, 17)


def test_an_operator_of_onnx_runtimes_own_makes_it_the_yardstick() -> None:
    x = normal(3, 4)
    wrapped, notes = settled(foreign(), x)
    wanted = torch.nn.functional.gelu(torch.from_numpy(x)) @ torch.from_numpy(normal(4, 5))
    assert bits(wrapped, x, wanted.numpy()) > 20
    assert notes[0].startswith("the yardstick is ONNX Runtime ")
    assert "without optimisation: ONNX's evaluator fails: NotImplementedError: Node type 'Gelu'" in notes[0]
    wide, impure = run_wide(Widened(wrapped).copy(), (torch.from_numpy(x),), {}, lambda m, a, k: m(*a, **k))
    assert wide is None
    assert "TypeError: ONNX Runtime, by which it is measured, can't" in impure
    moved = wrapped.run_with_noise(1, 1.0, torch.from_numpy(x))
    assert 0 < (moved - wrapped(torch.from_numpy(x))).abs().max() < 1e-5


def test_onnx_runtime_in_float64_where_it_has_such_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: Any, **named: Any) -> Any:
        raise NotImplementedError("no such operator")

    x, w = normal(3, 4), normal(4, 5)
    monkeypatch.setattr(onnx_evaluator.Evaluator, "run", fails)
    wrapped, notes = settled(graph([node("MatMul", ["x", "w"], ["y"])], ["batch", 4], 2, {"w": w}), x)
    assert "the yardstick is ONNX Runtime" in notes[0]
    wide, impure = run_wide(Widened(wrapped).copy(), (torch.from_numpy(x),), {}, lambda m, a, k: m(*a, **k))
    assert impure == ""
    np.testing.assert_allclose(wide.numpy(), x.astype(np.float64) @ w.astype(np.float64), rtol=1e-14)


def test_without_onnx_runtime_a_note_says_that_nobody_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    x = normal(3, 4, 5, 6)
    _, notes = settled(batch_norm(9), x)
    assert "BatchNormalization of opset 9 is ours" in notes[0]
    assert notes[0].endswith(
        "not cross-checked: ONNX Runtime, which would be asked for another opinion, is not installed"
    )
    with pytest.raises(YardstickFault) as raised:
        settled(foreign(), normal(3, 4))
    assert "there is nothing to measure it by: ONNX's evaluator fails: NotImplementedError" in str(raised.value)
    assert "is not installed" in str(raised.value)


class _Wrong(OpRun):
    """As a bug of the evaluator would be: half as much again."""

    op_domain = ""

    def _run(self, x: Array) -> tuple[Array]:
        return (np.maximum(x, 0) * np.float32(1.5),)


def with_wrong_relu(monkeypatch: pytest.MonkeyPatch) -> onnx.ModelProto:
    ours = onnx_evaluator.Ours(_Wrong)
    monkeypatch.setattr(onnx_evaluator, "OURS", {**onnx_evaluator.OURS, "Relu": ours})
    nodes = [node("MatMul", ["x", "w"], ["p"]), node("Relu", ["p"], ["r"]), node("Neg", ["r"], ["y"])]
    return graph(nodes, ["batch", 4], 2, {"w": normal(4, 5)})


def test_a_third_opinion_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = with_wrong_relu(monkeypatch), normal(3, 4)
    wrapped, notes = settled(model, x)
    assert bits(wrapped, x, -np.maximum(x @ normal(4, 5), 0)) > 20
    assert notes[0].startswith("the yardstick is ONNX Runtime ")
    assert "which OpenVINO agrees with; ONNX's evaluator" in notes[0]
    assert notes[0].endswith("first after operator Relu (output 'r')")


def test_it_decides_against_onnx_runtime_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = onnx_yardstick.without_optimisation
    monkeypatch.setattr(onnx_yardstick, "without_optimisation", lambda *given: [2 * y for y in plain(*given)])
    x = normal(3, 4)
    wrapped, notes = settled(graph([node("MatMul", ["x", "w"], ["y"])], ["batch", 4], 2, {"w": normal(4, 5)}), x)
    assert bits(wrapped, x, x @ normal(4, 5)) > 20
    assert notes[0].startswith("the yardstick is ONNX's evaluator, which OpenVINO agrees with; ONNX Runtime doesn't: ")


def test_where_nothing_decides_the_yardstick_is_in_doubt_and_not_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    model = with_wrong_relu(monkeypatch)
    monkeypatch.setattr(onnx_yardstick, "by_openvino", lambda *given: [np.zeros((3, 5), np.float32)])
    with pytest.raises(YardstickFault) as raised:
        settled(model, normal(3, 4))
    said = str(raised.value)
    assert said.startswith("the yardstick is in doubt, which says nothing of the model: ONNX's evaluator ")
    assert "without optimisation disagree: output 'y' agrees to 1.6 bits" in said
    assert " here and " in said
    assert " there, first after operator Relu (output 'r'); OpenVINO agrees with neither" in said


def test_a_runtime_that_is_only_less_exact_is_no_reason_for_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = onnx_yardstick.without_optimisation

    def coarse(*given: Any) -> list[Any]:
        return [y + 1e-4 * np.sign(y) for y in plain(*given)]

    monkeypatch.setattr(onnx_yardstick, "without_optimisation", coarse)
    x = normal(3, 4)
    wrapped, notes = settled(graph([node("MatMul", ["x", "w"], ["y"])], ["batch", 4], 2, {"w": normal(4, 5)}), x)
    assert bits(wrapped, x, x @ normal(4, 5)) > 20
    assert "ONNX Runtime without optimisation is less exact: output 'y' agrees to 1" in notes[0]


def test_a_sigmoid_that_is_exact_absolutely_is_only_less_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in PP-OCR's detector, where nothing is text: all values are near 0, and ONNX Runtime rounds them to 1e-7."""
    monkeypatch.setattr(onnx_yardstick, "by_openvino", lambda *given: pytest.fail("nobody needs to be asked"))
    x = normal(20, 30) - 15
    wrapped, notes = settled(graph([node("Sigmoid", ["x"], ["y"])], ["batch", 30], 2), x)
    assert bits(wrapped, x, 1 / (1 + np.exp(-x.astype(np.float64))).astype(np.float32)) > 20
    assert notes == [] or "ONNX Runtime without optimisation is less exact" in notes[0]
    if notes:
        assert notes[0].endswith("first after operator Sigmoid (output 'y')")


def test_an_ill_conditioned_model_is_measured_by_its_own_noise() -> None:
    """What cancels keeps few bits in any order of the sum: no reason to doubt anybody."""
    n = 4096
    w = normal(n, 1)
    w[1::2] = -w[::2]
    x = np.ones((8, n), np.float32) + normal(8, n) / np.float32(2e6)
    _, notes = settled(graph([node("MatMul", ["x", "w"], ["y"])], ["batch", n], 2, {"w": w}), x)
    assert notes == []


def narrow(*values: float) -> Array:
    return np.array(values, np.float32)


AGREEMENTS: Mapping[str, tuple[Array, Array, float | None]] = {
    "alike": (normal(4), normal(4), np.inf),
    "half": (narrow(2, 2), narrow(1, 1), 1.0),
    "shapes": (normal(2, 1), normal(2, 4, 1), None),
    "dtypes": (normal(2), np.array([1, 2]), None),
    "nan": (narrow(np.nan, 1), narrow(1, 1), None),
    "same nan": (narrow(np.nan, 1), narrow(np.nan, 1), np.inf),
    "empty": (normal(0), normal(0), np.inf),
    "a quantum": (np.array([4, 9], np.uint8), np.array([5, 9], np.uint8), np.inf),
    "indices": (np.array([4, 9]), np.array([5, 9]), 1.0),
    "zero": (np.zeros(3, np.float32), np.ones(3, np.float32), -np.inf),
    "words": (np.array(["a"]), np.array(["a"]), np.inf),
}


@pytest.mark.parametrize("name", AGREEMENTS)
def test_agreement(name: str) -> None:
    one, two, wanted = AGREEMENTS[name]
    assert agreement(one, two) == wanted


def test_noise_by_seed_and_scale_through_the_module() -> None:
    x = torch.from_numpy(normal(3, 64))
    wrapped, _ = settled(graph([node("MatMul", ["x", "w"], ["y"])], ["batch", 64], 2, {"w": normal(64, 5)}), x.numpy())
    plain = wrapped(x)
    first = wrapped.run_with_noise(5, 1.0, x)
    assert torch.equal(first, wrapped.run_with_noise(5, 1.0, x))
    assert not torch.equal(first, wrapped.run_with_noise(6, 1.0, x))
    wide = wrapped.run_with_noise(5, 64.0, x)
    assert (wide - plain).abs().mean() > 20 * (first - plain).abs().mean()
    assert not hasattr(frameworks.wrap("jax", (lambda tree, x: x, {})), "run_with_noise")


def test_integers_with_constant_weights_are_computed_in_float64_when_asked() -> None:
    made = onnx.helper.make_graph(
        [
            node("Constant", [], ["w"], value=onnx.numpy_helper.from_array(normal(5, 3))),
            node("Gather", ["w", "x"], ["g"]),
            node("ReduceSum", ["g"], ["y"], keepdims=0),
        ],
        "main",
        [onnx.helper.make_tensor_value_info("x", TensorProto.INT64, ["n"])],
        [onnx.helper.make_tensor_value_info("y", TensorProto.FLOAT, [])],
    )
    model = onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    wrapped = frameworks.wrap("onnx", model)
    given = (torch.tensor([1, 3]),)
    wide, impure = run_wide(Widened(wrapped).copy(), given, {}, lambda m, a, k: m(*a, **k))
    assert (wide.dtype, impure) == (torch.float64, "")
    assert adapt(model).parameters == {}
