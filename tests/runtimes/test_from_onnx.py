"""The runtimes that read ONNX, or what is made from it: the numbers are the model's, in every shape, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper
from onnx import helper as graphs

from pytest_modelconform.cells.worker import Worker, WorkerRefused
from tests.support import small_onnx
from tests.support.small_onnx import Small

RUNTIMES = ("onnx-reference", "tract", "opencv", "tinygrad")
FORMATS = ("mnn", "iree", "tvm")
# TVM's libraries are linked by the C++ compiler.
MARKED = [pytest.param(name, marks=pytest.mark.compiles) if name == "tvm" else name for name in FORMATS]
WEIGHT = np.arange(-5, 7, dtype=np.float32).reshape(4, 3) / 8
X = np.array([[1, 2, -3, 4], [0.5, -0.25, 8, 1]], np.float32)
INDEX = np.array([3, -70000])
# Of a convolution: MNN 3.6.1 has 21.2, and 12.6 with its large Winograd transforms.
BITS = 20


def judge(worker: Worker, small: Small, signature: dict[str, Any], runtime: str, folder: Path) -> None:
    """Two batches in turn: a runtime that keeps a length, or hands out its own buffer, shows."""
    narrows = small_onnx.registry().runtime(runtime).NARROWS
    for x, index in ((X, INDEX), (np.concatenate([X, -X[:1]]), np.array([0, 9, 41])), (X, INDEX)):
        feeds = (x, index, index > 5, np.array(0.5, np.float32))
        found = small_onnx.outputs(worker, signature, {f"/args/{i}": array for i, array in enumerate(feeds)}, folder)
        for array, expected in zip(found, small.expected(*feeds), strict=True):
            assert array.dtype.name == narrows.get(expected.dtype.name, expected.dtype.name)
            assert array.shape == expected.shape
            np.testing.assert_allclose(array.astype(expected.dtype), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_onnx(runtime: str, tmp_path: Path) -> None:
    module = small_onnx.registry().runtime(runtime)
    if reason := module.unavailable("cpu"):
        pytest.skip(f"{runtime} {reason}")
    assert (module.MAIN, tuple(module.FORMATS)[:3]) == (False, ("onnx", "onnx-legacy", "onnx-decomposed"))
    with small_onnx.started(runtime, module.command("cpu", 1, tmp_path, print)) as worker:
        assert worker.info["name"] == runtime
        # Another weight, and so another artifact, is seen; and an artifact takes the earlier one's place.
        for number, weight in enumerate((WEIGHT, WEIGHT + 0.125)):
            folder = tmp_path / str(number)
            signature = Small(weight).write(folder)
            small_onnx.load(worker, runtime, folder, signature)
            judge(worker, Small(weight), signature, runtime, tmp_path)
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            judge(worker, Small(WEIGHT), signature, runtime, tmp_path)
        (folder / "model.onnx").write_bytes(b"no model")
        with pytest.raises(WorkerRefused):
            small_onnx.load(worker, runtime, folder, signature)


@pytest.mark.parametrize("name", MARKED)
def test_made_from_onnx(name: str, tmp_path: Path) -> None:
    module: Any = small_onnx.registry().format(name)
    assert module.FROM in ("onnx", "onnx-decomposed")
    runtime = small_onnx.registry().runtime(name)
    assert (module.MAIN, runtime.MAIN, tuple(runtime.FORMATS)) == (False, False, (name,))
    made = []
    with small_onnx.converter(name, tmp_path) as worker:
        for number, weight in enumerate((WEIGHT, WEIGHT + 0.125)):
            source = tmp_path / f"onnx-{number}"
            small = Small(weight)
            folder = tmp_path / f"made-{number}"
            signature = small_onnx.converted(worker, name, source, small.write(source), folder)
            assert (folder / signature["file"]).stat().st_size > 0
            made.append((small, folder, signature))
        (source / "model.onnx").write_bytes(b"no model")
        with pytest.raises(WorkerRefused):
            small_onnx.converted(worker, name, source, signature | {"file": "model.onnx"}, tmp_path / "none")
    with small_onnx.started(name, runtime.command("cpu", 1, tmp_path, print)) as worker:
        for small, folder, signature in made:
            small_onnx.load(worker, name, folder, signature)
            judge(worker, small, signature, name, tmp_path)
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            judge(worker, made[0][0], signature, name, tmp_path)


@pytest.mark.parametrize("outside", [TensorProto.DOUBLE, TensorProto.FLOAT])
def test_iree_keeps_float64_that_it_takes_or_returns(outside: int, tmp_path: Path) -> None:
    """Inside of a model it is IREE's own matter: sine, as of positions, it has for float32 only."""
    source, kind = tmp_path / "source", "float64" if outside == TensorProto.DOUBLE else "float32"
    source.mkdir()
    inner = "Sqrt" if outside == TensorProto.DOUBLE else "Sin"
    nodes = [
        graphs.make_node("Cast", ["x"], ["wide"], to=TensorProto.DOUBLE),
        graphs.make_node(inner, ["wide"], ["root"]),
        graphs.make_node("Cast", ["root"], ["y"], to=outside),
    ]
    values = [graphs.make_tensor_value_info(name, outside, [3]) for name in ("x", "y")]
    graph = graphs.make_graph(nodes, "main_graph", values[:1], values[1:])
    onnx.save(
        graphs.make_model(graph, opset_imports=[graphs.make_opsetid("", 18)], ir_version=10), source / "model.onnx"
    )
    inputs = [{"name": "x", "path": "/args/0", "dtype": kind, "shape": [3]}]
    signature = {"file": "model.onnx", "layout": "flat", "inputs": inputs, "outputs": [{"name": "y", "path": ""}]}
    with small_onnx.converter("iree", tmp_path) as worker:
        made = small_onnx.converted(worker, "iree", source, signature, tmp_path / "made")
    runtime = small_onnx.registry().runtime("iree")
    x = np.array([2.0, 3.0, 5.0], kind)
    with small_onnx.started("iree", runtime.command("cpu", 1, tmp_path, print)) as worker:
        small_onnx.load(worker, "iree", tmp_path / "made", made)
        [y] = small_onnx.outputs(worker, made, {"/args/0": x}, tmp_path)
    assert y.dtype.name == kind
    np.testing.assert_allclose(
        y, np.sqrt(x) if inner == "Sqrt" else np.sin(x), rtol=1e-15 if kind == "float64" else 1e-6
    )


def test_mnn_keeps_the_bits_of_a_convolution_and_refuses_what_it_would_cut(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    weight = generator.standard_normal((64, 64, 3, 3)).astype(np.float32)
    x = generator.standard_normal((1, 64, 48, 48)).astype(np.float32)
    source = tmp_path / "source"
    source.mkdir()
    graph = graphs.make_graph(
        [graphs.make_node("Conv", ["x", "weight"], ["y"], pads=[1, 1, 1, 1])],
        "main_graph",
        [graphs.make_tensor_value_info("x", TensorProto.FLOAT, list(x.shape))],
        [graphs.make_tensor_value_info("y", TensorProto.FLOAT, list(x.shape))],
        [numpy_helper.from_array(weight, "weight")],
    )
    opsets = [graphs.make_opsetid("", 18)]
    onnx.save(graphs.make_model(graph, opset_imports=opsets, ir_version=10), source / "model.onnx")
    inputs = [{"name": "x", "path": "/args/0", "dtype": "float32", "shape": list(x.shape)}]
    signature = {"file": "model.onnx", "layout": "flat", "inputs": inputs, "outputs": [{"name": "y", "path": ""}]}
    small = tmp_path / "small"
    with small_onnx.converter("mnn", tmp_path) as worker:
        convolution = small_onnx.converted(worker, "mnn", source, signature, tmp_path / "convolution")
        cut = small_onnx.converted(worker, "mnn", small, Small(WEIGHT).write(small), tmp_path / "cut")
    runtime = small_onnx.registry().runtime("mnn")
    with small_onnx.started("mnn", runtime.command("cpu", 1, tmp_path, print)) as worker:
        small_onnx.load(worker, "mnn", tmp_path / "convolution", convolution)
        [y] = small_onnx.outputs(worker, convolution, {"/args/0": x}, tmp_path)
        exact = torch.nn.functional.conv2d(torch.from_numpy(x).double(), torch.from_numpy(weight).double(), padding=1)
        error = np.sqrt(np.mean((y - exact.numpy()) ** 2)) / exact.numpy().std()
        assert error < 2.0**-BITS
        small_onnx.load(worker, "mnn", tmp_path / "cut", cut)
        feeds = (X, np.array([1, 2**40]), np.array([True, False]), np.array(0.5, np.float32))
        with pytest.raises(
            WorkerRefused, match="input 'index' holds numbers that don't fit int32, and MNN has no int64"
        ):
            small_onnx.outputs(worker, cut, {f"/args/{i}": array for i, array in enumerate(feeds)}, tmp_path)


def test_mnn_says_why_it_computes_nothing(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    graph = graphs.make_graph(
        [graphs.make_node("MatMul", ["x", "weight"], ["y"])],
        "main_graph",
        [graphs.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", "columns"])],
        [graphs.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 3])],
        [numpy_helper.from_array(WEIGHT, "weight")],
    )
    opsets = [graphs.make_opsetid("", 18)]
    onnx.save(graphs.make_model(graph, opset_imports=opsets, ir_version=10), source / "model.onnx")
    inputs = [{"name": "x", "path": "/args/0", "dtype": "float32", "shape": ["rows", "columns"]}]
    signature = {"file": "model.onnx", "layout": "flat", "inputs": inputs, "outputs": [{"name": "y", "path": ""}]}
    with small_onnx.converter("mnn", tmp_path) as worker:
        converted = small_onnx.converted(worker, "mnn", source, signature, tmp_path / "converted")
    runtime = small_onnx.registry().runtime("mnn")
    with small_onnx.started("mnn", runtime.command("cpu", 1, tmp_path, print)) as worker:
        small_onnx.load(worker, "mnn", tmp_path / "converted", converted)
        with pytest.raises(WorkerRefused, match=r"^MNN computed 0 of 1 outputs: .*[Ss]hape"):
            small_onnx.outputs(worker, converted, {"/args/0": np.ones((2, 7), np.float32)}, tmp_path)
        [y] = small_onnx.outputs(worker, converted, {"/args/0": X}, tmp_path)
        np.testing.assert_allclose(y, X @ WEIGHT, rtol=1e-6)
