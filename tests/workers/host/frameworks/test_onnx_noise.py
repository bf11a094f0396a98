"""Operator noise of ONNX's evaluator: as far as faithful arithmetic goes, and nothing where that is exact."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from pytest_modelconform.workers.arrays import Array
from pytest_modelconform.workers.host.frameworks.onnx_evaluator import Evaluator, hooked
from pytest_modelconform.workers.host.frameworks.onnx_float64 import in_float64
from pytest_modelconform.workers.host.frameworks.onnx_noise import EXACT, RULES, Noise
from tests.support.onnx_graphs import batch_norm, graph, node, normal

U = 2.0**-24
RUNS = 24


def run(model: onnx.ModelProto, x: Array, hook: Noise | None = None) -> Array:
    evaluator = Evaluator if hook is None else hooked(hook)
    found: list[Any] = evaluator(model).run(None, {"x": x})  # type: ignore[assignment]
    return np.asarray(found[0])


def spread(model: onnx.ModelProto, x: Array, scale: float = 1.0) -> Array:
    """By element, the root mean square of how far noisy runs are from the float64 one."""
    exact = run(in_float64(model), x.astype(np.float64)).astype(np.float64)
    found = [run(model, x, Noise(seed, scale)).astype(np.float64) - exact for seed in range(RUNS)]
    return np.sqrt(np.mean(np.square(found), axis=0))


def rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def in_order(terms: Array) -> Array:
    """The left-to-right sum over the last axis, in float32."""
    found: Array = np.add.accumulate(terms.astype(np.float32), axis=-1, dtype=np.float32)[..., -1]
    return found


@pytest.mark.parametrize("n", [16, 256, 1024])
@pytest.mark.parametrize("sign", ["random", "positive"])
def test_products_cover_the_left_to_right_sum(n: int, sign: str) -> None:
    x, w = normal(64, n), normal(n, 32, seed=1)
    if sign == "positive":
        x, w = np.abs(x), np.abs(w)
    model = graph([node("MatMul", ["x", "w"], ["y"])], x.shape, 2, {"w": w})
    exact = x.astype(np.float64) @ w.astype(np.float64)
    order = rms(in_order(x[:, None, :] * w.T[None]) - exact)
    noise = rms(spread(model, x))
    # The envelope is as far as the worst of the faithful, and not much further.
    assert 0.7 * order <= noise <= 2.5 * order


def test_convolutions_gemms_and_einsums_move_as_the_product_that_they_are() -> None:
    x, w = normal(6, 48), normal(48, 5, seed=1)
    plain = rms(spread(graph([node("MatMul", ["x", "w"], ["y"])], x.shape, 2, {"w": w}), x))
    gemm = graph([node("Gemm", ["x", "w"], ["y"], transB=1)], x.shape, 2, {"w": np.ascontiguousarray(w.T)})
    einsum = graph([node("Einsum", ["x", "w"], ["y"], equation="bi,io->bo")], x.shape, 2, {"w": w})
    for model in (gemm, einsum):
        assert rms(spread(model, x)) == pytest.approx(plain, rel=0.25)
    image = x.reshape(6, 3, 4, 4)
    kernel = np.ascontiguousarray(w.T).reshape(5, 3, 4, 4)
    convolution = graph([node("Conv", ["x", "w"], ["y"])], image.shape, 4, {"w": kernel})
    assert rms(spread(convolution, image)) == pytest.approx(plain, rel=0.25)
    back = graph([node("ConvTranspose", ["x", "w"], ["y"])], (6, 48, 1, 1), 4, {"w": w.reshape(48, 5, 1, 1)})
    assert rms(spread(back, x.reshape(6, 48, 1, 1))) == pytest.approx(plain, rel=0.25)


@pytest.mark.parametrize(("name", "more"), [("ReduceMean", {"axes": [2, 3]}), ("GlobalAveragePool", {})])
def test_means_of_nearly_equal_terms_lose_what_they_lose_in_order(name: str, more: Mapping[str, Any]) -> None:
    values = np.random.default_rng(0).uniform(0.5, 1, (2, 32)).astype(np.float32)
    x = np.broadcast_to(values[:, :, None, None], (2, 32, 10, 12)).copy()
    model = graph([node(name, ["x"], ["y"], **more)], x.shape, 4, {}, 13)
    loss = rms(in_order(x.reshape(2, 32, 120)) / np.float32(120) - values.astype(np.float64))
    assert loss > 4 * U * rms(values)
    assert 0.9 * loss <= rms(spread(model, x)) <= 1.3 * loss


@pytest.mark.parametrize("keep", [0, 1])
def test_sums_over_axes_that_are_an_input(keep: int) -> None:
    x = np.abs(normal(4, 5, 300))
    axes = {"axes": np.array([-1, 0])}
    model = graph([node("ReduceSum", ["x", "axes"], ["y"], keepdims=keep)], x.shape, 3 if keep else 1, axes, 13)
    order = in_order(x.transpose(1, 0, 2).reshape(5, -1)) - x.astype(np.float64).sum(axis=(0, 2))
    assert rms(spread(model, x)) >= 0.9 * rms(order)


def test_average_pools_of_constant_rows() -> None:
    x = np.full((1, 1, 14, 14), 0.7654321, np.float32)
    model = graph([node("AveragePool", ["x"], ["y"], kernel_shape=[7, 7], strides=[7, 7])], x.shape, 4)
    loss = abs(float(in_order(np.full(49, 0.7654321, np.float32)) / np.float32(49)) - float(np.float32(0.7654321)))
    assert spread(model, x).min() >= loss / 2


def test_a_batch_norm_moves_by_what_cancels_in_it() -> None:
    model = batch_norm(15)
    x = np.full((64, 4, 5, 6), 2.0, np.float32) + normal(64, 4, 5, 6) / 1000
    weights = {t.name: onnx.numpy_helper.to_array(t).astype(np.float64) for t in model.graph.initializer}
    s = np.abs(weights["s"]) / np.sqrt(weights["v"] + 1e-5)
    size = U * ((2 + np.abs(weights["m"])) * s + np.abs(weights["b"]))
    found = np.sqrt(np.mean(spread(model, x) ** 2, axis=(0, 2, 3)))
    assert (found >= 0.9 * size).all()
    assert (found <= 1.5 * size).all()
    # Folded into a multiplication and an addition, it stays within.
    scale = (weights["s"] / np.sqrt(weights["v"] + 1e-5)).astype(np.float32)[:, None, None]
    shift = (weights["b"] - weights["m"] * weights["s"] / np.sqrt(weights["v"] + 1e-5)).astype(np.float32)[
        :, None, None
    ]
    folded = (x * scale + shift).astype(np.float64)
    exact = run(in_float64(model), x.astype(np.float64))
    assert rms(folded - exact) <= 1.3 * rms(spread(model, x))


NORMS: Mapping[str, tuple[onnx.NodeProto, int]] = {
    "LayerNormalization": (node("LayerNormalization", ["x", "s", "b"], ["y"], axis=-1), 256),
    "InstanceNormalization": (node("InstanceNormalization", ["x", "s", "b"], ["y"]), 6),
    "RMSNormalization": (node("RMSNormalization", ["x", "s"], ["y"], axis=-1), 256),
}


@pytest.mark.parametrize("name", NORMS)
def test_norms_cover_sums_in_order(name: str) -> None:
    one, features = NORMS[name]
    x = normal(4, 6, 256) + 3
    held = {"s": normal(features, seed=1), "b": normal(features, seed=2)}
    held = held if "b" in one.input else {"s": held["s"]}
    model = graph([one], x.shape, 3, held, 23)
    mean = np.float32(0) if name == "RMSNormalization" else (in_order(x) / np.float32(256))[..., None]
    variance = (in_order(np.square(x - mean)) / np.float32(256))[..., None]
    shape = (-1, 1) if name == "InstanceNormalization" else (-1,)
    y = (x - mean) / np.sqrt(variance + np.float32(1e-5)) * held["s"].reshape(shape)
    y = y + held["b"].reshape(shape) if "b" in held else y
    exact = run(in_float64(model), x.astype(np.float64))
    noise = rms(spread(model, x))
    assert rms(y - exact) <= 1.2 * noise
    assert noise <= 40 * U * rms(exact)


def test_a_softmax_covers_a_sum_in_order() -> None:
    x = normal(8, 1000) / 10
    model = graph([node("Softmax", ["x"], ["y"], axis=-1)], x.shape, 2)
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    y = e / in_order(e)[:, None]
    exact = run(in_float64(model), x.astype(np.float64))
    noise = spread(model, x)
    assert rms(y - exact) <= 1.2 * rms(noise)
    assert rms(noise) <= 16 * U * rms(exact)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_recurrent_operators_move_as_the_products_inside(name: str) -> None:
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[name]
    w, r = normal(1, gates * 8, 32, seed=1) / 6, normal(1, gates * 8, 8, seed=2) / 6
    x = normal(5, 3, 32)
    model = graph([node(name, ["x", "w", "r"], ["y"], hidden_size=8)], x.shape, 4, {"w": w, "r": r}, 14)
    noise = spread(model, x)
    # One step's products alone, through what is at most the slope of the activations.
    products = U * 0.5 * float(np.mean(np.abs(x.astype(np.float64)) @ np.abs(w[0].T.astype(np.float64))))
    assert 0.05 * products <= rms(noise) <= 2 * products
    assert (noise[1:] > 0).all()


FUNCTIONS = ["Exp", "Tanh", "Sigmoid", "Erf", "Softplus", "Sin"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_move_by_two_units(name: str) -> None:
    x = normal(500)
    model = graph([node(name, ["x"], ["y"])], x.shape, 1)
    exact = np.abs(run(in_float64(model), x.astype(np.float64)))
    found = spread(model, x) / (U * exact)
    assert 1.7 <= rms(found) <= 2.5


ARITHMETIC: Mapping[str, Callable[[Array], onnx.NodeProto]] = {
    "Add": lambda x: node("Add", ["x", "k"], ["y"]),
    "Mul": lambda x: node("Mul", ["x", "k"], ["y"]),
    "Div": lambda x: node("Div", ["x", "k"], ["y"]),
    "Sub": lambda x: node("Sub", ["x", "k"], ["y"]),
}


@pytest.mark.parametrize("name", ARITHMETIC)
def test_what_is_exact_in_every_arithmetic_does_not_move(name: str) -> None:
    x = np.round(normal(300) * 40)
    for k, moves in ((np.float32(4), False), (np.float32(0.1), name != "x")):
        model = graph([ARITHMETIC[name](x)], x.shape, 1, {"k": k})
        plain = run(model, x)
        found = [run(model, x, Noise(seed)) for seed in range(6)]
        exact = run(in_float64(model), x.astype(np.float64))
        still = plain.astype(np.float64) == exact
        assert all((one[still] == plain[still]).all() for one in found)
        assert any((one != plain).any() for one in found) == (moves and not still.all())
    # Boxes at whole pixels cross no ceil.
    model = graph([node("Mul", ["x", "k"], ["p"]), node("Ceil", ["p"], ["y"])], x.shape, 1, {"k": np.float32(0.5)})
    assert all((run(model, x, Noise(seed)) == np.ceil(x / 2)).all() for seed in range(6))


COPIES: Sequence[tuple[onnx.NodeProto, Mapping[str, Any], int]] = [
    (node("Relu", ["x"], ["y"]), {}, 2),
    (node("Transpose", ["x"], ["y"], perm=[1, 0]), {}, 2),
    (node("Gather", ["x", "i"], ["y"], axis=1), {"i": np.array([0, 2])}, 2),
    (node("Clip", ["x", "low"], ["y"]), {"low": np.float32(-0.5)}, 2),
    (node("Resize", ["x", "", "k"], ["y"], mode="nearest"), {"k": np.array([1, 2], np.float32)}, 2),
    (node("ReduceMax", ["x"], ["y"]), {}, 2),
    (node("Cast", ["x"], ["y"], to=TensorProto.FLOAT), {}, 2),
]


@pytest.mark.parametrize(("one", "held", "rank"), COPIES, ids=[one.op_type for one, _, _ in COPIES])
def test_copies_and_choices_do_not_move(one: onnx.NodeProto, held: Mapping[str, Any], rank: int) -> None:
    x = normal(5, 4)
    model = graph([one], x.shape, rank, held, 18)
    assert np.array_equal(run(model, x, Noise(1)), run(model, x))


def test_sums_of_whole_numbers_do_not_move() -> None:
    x = np.round(normal(4, 64) * 9)
    for nodes in ([node("ReduceSum", ["x", "a"], ["y"])],):
        model = graph(nodes, x.shape, 2, {"a": np.array([1])}, 13)
        assert np.array_equal(run(model, x, Noise(1)), run(model, x))


def test_an_operator_that_nobody_knows_moves_where_it_computes() -> None:
    import onnx.reference.op_run as base

    class Half(base.OpRun):
        op_domain = "local"

        def _run(self, x: Array) -> tuple[Array]:
            return (np.where(x > 0, x / np.float32(3), x).astype(np.float32),)

    x = normal(200)
    model = graph([node("Half", ["x"], ["y"], domain="local")], x.shape, 1)
    model.opset_import.append(onnx.helper.make_opsetid("local", 1))

    def found(hook: Any) -> Array:
        class With(hooked(hook)):  # type: ignore[misc]
            def _load_impl(self, one: Any, types: Any = None) -> Any:
                return Half

        outputs: list[Any] = With(model).run(None, {"x": x})
        return np.asarray(outputs[0])

    plain, moved = found(lambda one, inputs, outputs, again: outputs), found(Noise(1))
    assert np.array_equal(moved[x <= 0], plain[x <= 0])
    assert (moved[x > 0] != plain[x > 0]).mean() > 0.1


def test_seeds_make_it_the_same_again_and_the_scale_makes_it_more() -> None:
    x = normal(8, 64)
    model = graph([node("MatMul", ["x", "w"], ["p"]), node("Tanh", ["p"], ["y"])], x.shape, 2, {"w": normal(64, 8) / 8})
    assert np.array_equal(run(model, x, Noise(7)), run(model, x, Noise(7)))
    assert not np.array_equal(run(model, x, Noise(7)), run(model, x, Noise(8)))
    assert rms(spread(model, x, 16.0)) == pytest.approx(16 * rms(spread(model, x)), rel=0.3)


def test_infinities_and_nan_stay() -> None:
    x = np.array([[np.inf, 1.0], [np.nan, 2.0], [-np.inf, 3.0]], np.float32)
    model = graph([node("Exp", ["x"], ["y"])], x.shape, 2)
    moved, plain = run(model, x, Noise(3)), run(model, x)
    assert np.array_equal(np.isfinite(moved), np.isfinite(plain))
    assert np.array_equal(moved[~np.isfinite(plain)], plain[~np.isfinite(plain)], equal_nan=True)


def test_every_operator_with_a_rule_is_one_of_onnxs() -> None:
    names = {schema.name for schema in onnx.defs.get_all_schemas_with_history() if not schema.domain}
    assert set(RULES) | EXACT <= names | {"SwiGLU"}
    assert not set(RULES) & EXACT
