"""Models of other frameworks as modules: float64 that is float64, parameters that count, models that are refused."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from pytest_modelconform.terms import sequence
from pytest_modelconform.terms.case import Case
from pytest_modelconform.workers.arrays import Array
from pytest_modelconform.workers.host import frameworks
from pytest_modelconform.workers.host.cases import check
from pytest_modelconform.workers.host.frameworks import FrameworkModule, by_position, onnx_float64
from pytest_modelconform.workers.host.references.float64 import Jitter, Widened, run_wide
from pytest_modelconform.workers.loop import WorkerError

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(2, 4, 6, 6)).astype(np.float32)
W = RANDOM.normal(size=(6, 3)).astype(np.float32)
B = RANDOM.normal(size=3).astype(np.float32)
SCALE = RANDOM.normal(size=4).astype(np.float32)


def call(model: Any, args: Any, kwargs: Any) -> Any:
    with torch.no_grad():
        return model(*args, **kwargs)


def graph(
    nodes: Sequence[onnx.NodeProto], weights: Mapping[str, Array] | None = None, rank: int = 4, opset: int = 21
) -> onnx.ModelProto:
    """A model of `x` (as X) that returns `y` of a rank."""
    made = helper.make_graph(
        list(nodes),
        "main",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, X.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * rank)],
        [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def linear(w: Array = W) -> onnx.ModelProto:
    """y = gelu(x · w + b), exact, of the smallest operators."""
    third = numpy_helper.from_array(np.array(math.sqrt(0.5), np.float32))
    return graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["p"]),
            helper.make_node("Add", ["p", "b"], ["s"]),
            helper.make_node("Constant", [], ["root"], value=third),
            helper.make_node("Constant", [], ["one"], value_float=1.0),
            helper.make_node("Mul", ["s", "root"], ["r"]),
            helper.make_node("Erf", ["r"], ["e"]),
            helper.make_node("Add", ["e", "one"], ["f"]),
            helper.make_node("Mul", ["s", "f"], ["g"]),
            helper.make_node("Cast", ["g"], ["y"], to=TensorProto.FLOAT),
        ],
        {"w": w, "b": B},
    )


def linear_in_jax(tree: Any, x: Any) -> Any:
    s = x @ tree["w"] + tree["b"]
    return s * (1 + jax.scipy.special.erf(s * np.float32(math.sqrt(0.5))))


def wanted(x: Array, w: Array = W) -> torch.Tensor:
    """What `linear` and `linear_in_jax` are, in float64, by PyTorch."""
    wide = [torch.from_numpy(np.asarray(array, np.float64)) for array in (x, w, B)]
    s = wide[0] @ wide[1] + wide[2]
    return s * (1 + torch.erf(s * float(np.float32(math.sqrt(0.5)))))


MODELS: dict[str, Callable[[], FrameworkModule]] = {
    "onnx": lambda: frameworks.wrap("onnx", linear()),
    "jax": lambda: frameworks.wrap("jax", (linear_in_jax, {"w": W, "b": B})),
}


@pytest.mark.parametrize("name", MODELS)
def test_float64_is_float64_throughout(name: str) -> None:
    model = MODELS[name]()
    narrow = call(model, (torch.from_numpy(X),), {})
    assert narrow.dtype == torch.float32
    wide, impure = run_wide(Widened(model).copy(), (torch.from_numpy(X),), {}, call)
    assert (wide.dtype, impure) == (torch.float64, "")
    torch.testing.assert_close(wide, wanted(X), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(narrow, wide.float(), rtol=1e-5, atol=3e-6)
    # The noise that a reference without noise would hide.
    assert (narrow.double() - wide).abs().max() > 1e-8
    # And the model is what it was.
    torch.testing.assert_close(call(model, (torch.from_numpy(X),), {}), narrow, rtol=0, atol=0)


@pytest.mark.parametrize("name", MODELS)
def test_moved_parameters_change_the_result(name: str) -> None:
    model = MODELS[name]()
    parameters = {parameter.shape: parameter for parameter in model.parameters()}
    assert set(parameters) == {W.shape, B.shape}
    before = call(model, (torch.from_numpy(X),), {})
    own = copy.deepcopy(model)
    with torch.no_grad():
        next(p for p in own.parameters() if p.shape == W.shape)[1, 2] += 0.5
    moved = W.copy()
    moved[1, 2] += 0.5
    after = call(own, (torch.from_numpy(X),), {})
    torch.testing.assert_close(after.double(), wanted(X, moved), rtol=1e-5, atol=1e-5)
    assert torch.equal(after[..., :2], before[..., :2])
    # A copy's parameters are its own.
    assert torch.equal(call(model, (torch.from_numpy(X),), {}), before)


@pytest.mark.parametrize("name", MODELS)
def test_one_unit_in_the_last_place_is_seen(name: str) -> None:
    model = MODELS[name]()
    jitter = Jitter(model)
    jitter.move(1)
    distance = (call(jitter.model, (torch.from_numpy(X),), {}) - call(model, (torch.from_numpy(X),), {})).abs().max()
    assert 0 < distance < 1e-5


N = helper.make_node
# Operators whose evaluation in ONNX, or whose defaults, would be float32 in a graph of float64.
OPERATORS: dict[str, tuple[onnx.ModelProto, Callable[[torch.Tensor], torch.Tensor]]] = {
    "Erf": (graph([N("Erf", ["x"], ["y"])]), torch.erf),
    "Gelu": (graph([N("Gelu", ["x"], ["y"])]), torch.nn.functional.gelu),
    "GroupNormalization": (
        graph([N("GroupNormalization", ["x", "s", "s"], ["y"], num_groups=2)], {"s": SCALE}),
        lambda x: torch.nn.functional.group_norm(
            x, 2, torch.from_numpy(SCALE).double(), torch.from_numpy(SCALE).double(), float(np.float32(1e-5))
        ),
    ),
    "LayerNormalization": (
        graph([N("LayerNormalization", ["x", "s"], ["y"])], {"s": np.ones(6, np.float32)}),
        lambda x: torch.nn.functional.layer_norm(x, (6,), eps=float(np.float32(1e-5))),
    ),
    "ConstantOfShape": (
        graph([N("ConstantOfShape", ["n"], ["z"]), N("Sub", ["z", "x"], ["y"])], {"n": np.array([1])}),
        lambda x: -x,
    ),
    "Resize": (
        graph([N("Resize", ["x", "", "k"], ["y"], mode="linear")], {"k": np.array([1, 1, 2, 2], np.float32)}),
        lambda x: torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear"),
    ),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_of_onnx_in_float64(name: str) -> None:
    model, function = OPERATORS[name]
    x = torch.from_numpy(X).double() / 3
    found = call(frameworks.wrap("onnx", model).double(), (x,), {})
    torch.testing.assert_close(found, function(x), rtol=1e-12, atol=1e-12)


def test_what_is_float32_in_a_graph_becomes_float64() -> None:
    floats = np.array([0.5, 1.5], np.float32)
    branch = helper.make_graph(
        [N("Constant", [], ["inner"], value_floats=[0.1, 0.2])],
        "branch",
        [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, [2])],
    )
    model = graph(
        [
            N("Constant", [], ["a"], value=numpy_helper.from_array(floats)),
            N("Constant", [], ["b"], value_float=0.1),
            N("Constant", [], ["i"], value_int=3),
            N("Cast", ["i"], ["c"], to=TensorProto.FLOAT),
            N("Cast", ["x"], ["d"], to=TensorProto.INT64),
            N("If", ["t"], ["e"], then_branch=branch, else_branch=branch),
            N("Add", ["x", "c"], ["y"]),
        ],
        {"w": W, "t": np.array(True), "n": np.array([2])},
    )
    before = model.SerializeToString()
    wide = onnx_float64.in_float64(model).graph
    assert model.SerializeToString() == before
    double = TensorProto.DOUBLE
    kinds = {tensor.name: tensor.data_type for tensor in wide.initializer}
    assert kinds == {"w": double, "t": TensorProto.BOOL, "n": TensorProto.INT64}
    np.testing.assert_array_equal(numpy_helper.to_array(wide.initializer[0]), W.astype(np.float64))
    assert [value.type.tensor_type.elem_type for value in (*wide.input, *wide.output)] == [double, double]
    nodes = {node.output[0]: {a.name: helper.get_attribute_value(a) for a in node.attribute} for node in wide.node}
    assert nodes["a"]["value"].data_type == nodes["b"]["value"].data_type == double
    # The model's own number, which is float32's nearest to 0.1.
    assert numpy_helper.to_array(nodes["b"]["value"]) == float(np.float32(0.1))
    assert nodes["i"] == {"value_int": 3}
    assert (nodes["c"]["to"], nodes["d"]["to"]) == (double, TensorProto.INT64)
    inner = nodes["e"]["else_branch"]
    assert inner.output[0].type.tensor_type.elem_type == double
    inside = numpy_helper.to_array(inner.node[0].attribute[0].t)
    np.testing.assert_array_equal(inside, np.array([0.1, 0.2], np.float32).astype(np.float64))


@pytest.mark.parametrize(
    ("framework", "model", "says"),
    [
        ("onnx", torch.nn.Linear(1, 1), r"a model in ONNX is a path or an onnx\.ModelProto, not a Linear"),
        ("jax", linear_in_jax, r"a model in JAX is a pair \(function, parameters\), not a function"),
        ("jax", ({}, linear_in_jax), r"a model in JAX is a pair \(function, parameters\), not a tuple"),
    ],
)
def test_models_of_other_kinds_are_refused(framework: str, model: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        frameworks.wrap(framework, model)


def test_a_path_is_a_model_and_a_broken_graph_is_none(tmp_path: Path) -> None:
    onnx.save(linear(), tmp_path / "linear.onnx")
    found = call(frameworks.wrap("onnx", tmp_path / "linear.onnx"), (torch.from_numpy(X),), {})
    assert torch.equal(found, call(MODELS["onnx"](), (torch.from_numpy(X),), {}))
    with pytest.raises(onnx.checker.ValidationError, match="nowhere"):
        frameworks.wrap("onnx", graph([N("Relu", ["nowhere"], ["y"])]))


class Taking:
    parameters: Mapping[str, Array] = {}
    inputs: Sequence[str] = ("a", "b")

    def run(self, parameters: Any, args: Any, kwargs: Any) -> Any:
        return by_position(self, args, kwargs)


def test_arguments_in_the_order_of_a_graphs_inputs() -> None:
    taking = Taking()
    fitting: Sequence[tuple[tuple[int, ...], dict[str, int]]] = (((1, 2), {}), ((1,), {"b": 2}), ((), {"b": 2, "a": 1}))
    for args, kwargs in fitting:
        assert by_position(taking, args, kwargs) == [1, 2]
    faulty: Sequence[tuple[tuple[int, ...], dict[str, int], str]] = (
        ((1,), {}, "a"),
        ((), {}, "nothing"),
        ((1, 2), {"a": 3}, "a, b"),
        ((1, 2, 3), {}, ""),
    )
    for args, kwargs, given in faulty:
        with pytest.raises(TypeError, match=f"the model takes a, b, and is given {given}"):
            by_position(taking, args, kwargs)
    with pytest.raises(TypeError, match="the model takes a, b, and is given a, c"):
        by_position(taking, (1,), {"c": 2})


def test_results_of_any_nest_and_integers_as_they_are() -> None:
    def function(tree: Any, x: Any, index: Any) -> Any:
        return {"z": [tree["scale"] * x, tree["table"][index]], "a": (index + 1, 3)}

    tree = {"scale": np.float32(0.5), "table": np.arange(5) * 10}
    model = frameworks.wrap("jax", (function, tree))
    # Integers are no parameters that noise could be made from.
    assert [parameter.shape for parameter in model.parameters()] == [torch.Size([])]
    found = model(torch.tensor([2.0]), index=torch.tensor([4, 1]))
    # JAX sorts mappings; format stablehlo relies on that.
    assert list(found) == ["a", "z"]
    assert torch.equal(found["z"][0], torch.tensor([1.0]))
    assert torch.equal(found["z"][1], torch.tensor([40, 10]))
    assert torch.equal(found["a"][0], torch.tensor([5, 2]))


def test_inputs_of_other_frameworks_become_tensors() -> None:
    given = (
        np.array([1.5], np.float32),
        {"j": jnp.arange(3, dtype=jnp.int32), "n": None, "s": "same"},
        jnp.bfloat16(2.5),
    )
    found = frameworks.to_torch(given)
    assert torch.equal(found[0], torch.tensor([1.5]))
    assert torch.equal(found[1]["j"], torch.arange(3, dtype=torch.int32))
    assert (found[1]["n"], found[1]["s"]) == (None, "same")
    assert (found[2].dtype, found[2].item()) == (torch.bfloat16, 2.5)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (
            {"framework": "keras", "dtypes": ("float32", "bfloat16")},
            "a model in keras can't have the field 'dtypes': leave it out",
        ),
        ({"framework": "jax", "cpp": "net.cpp"}, "a model in jax can't have the field 'cpp': leave it out"),
        ({"framework": "onnx", "mode": "train"}, "a model in onnx can't have the field 'mode': leave it out"),
        (
            {"framework": "jax", "sequence": sequence.Sequence(carry={"x": 0}, steps=2)},
            "a model in jax can't have the field 'sequence': leave it out",
        ),
        ({"framework": "flax"}, "unknown framework 'flax'; known: torch, onnx, jax, keras, tensorflow"),
    ],
)
def test_fields_that_a_framework_does_not_have(fields: dict[str, Any], says: str, tmp_path: Path) -> None:
    (tmp_path / "net.cpp").write_text("")
    case = Case(model=lambda: torch.nn.Identity(), inputs={"one": lambda: (torch.ones(1),)}, **fields)
    with pytest.raises(WorkerError) as raised:
        check("net", case, str(tmp_path / "net.py"))
    assert str(raised.value) == f"case 'net', field 'framework': {says}"
