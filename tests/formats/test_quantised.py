"""Formats that make a model less exact by themselves: what they write, and that a wrong scale is seen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from onnx import helper as graphs

from pytest_modelconform.environments.packages import missing_packages
from pytest_modelconform.formats.foreign import of_litert
from pytest_modelconform.terms.accuracy import ACCURACIES
from pytest_modelconform.workers import arrays
from tests.support import small_onnx
from tests.support.processors import saturates
from tests.support.small_onnx import Small

WIDTH, CLASSES = 64, 32


def perceptron(folder: Path) -> tuple[dict[str, Any], Any]:
    """Write a product with a ReLU and another one; its signature, and what it computes by numpy."""
    random = np.random.default_rng(0)
    first = random.standard_normal((WIDTH, WIDTH)).astype(np.float32) / 8
    second = random.standard_normal((WIDTH, CLASSES)).astype(np.float32) / 8
    x = graphs.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", WIDTH])
    y = graphs.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", CLASSES])
    nodes = [
        graphs.make_node("MatMul", ["x", "first"], ["hidden"], "one"),
        graphs.make_node("Relu", ["hidden"], ["positive"], "two"),
        graphs.make_node("MatMul", ["positive", "second"], ["y"], "three"),
    ]
    weights = [numpy_helper.from_array(first, "first"), numpy_helper.from_array(second, "second")]
    graph = graphs.make_graph(nodes, "main_graph", [x], [y], weights)
    folder.mkdir()
    model = graphs.make_model(graph, opset_imports=[graphs.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, folder / "model.onnx")
    signature = {
        "file": "model.onnx",
        "layout": "flat",
        "format": "onnx",
        "inputs": [{"name": "x", "path": "/args/0", "dtype": "float32", "shape": ["batch", WIDTH]}],
        "outputs": [{"name": "y", "path": ""}],
        "dropped": [],
        "operators": [],
    }

    def computed(x: Any) -> Any:
        return np.maximum(x.astype(np.float64) @ first, 0) @ second

    return Small.signed(folder, signature), computed


def bits(found: Any, wanted: Any) -> float:
    return float(0.5 * np.log2(np.square(wanted).mean() / np.square(found - wanted).mean()))


def ran(runtime: str, folder: Path, signature: dict[str, Any], x: Any) -> Any:
    """What a runtime returns, in float32."""
    command = small_onnx.registry().runtime(runtime).command("cpu", 1, folder, print)
    with small_onnx.started(runtime, command) as worker:
        small_onnx.load(worker, runtime, folder, signature)
        [y] = small_onnx.outputs(worker, signature, {"/args/0": x}, folder)
    assert y.dtype == np.float32
    return y


def made_from(name: str, source: Path, signature: dict[str, Any], x: Any, folder: Path) -> dict[str, Any]:
    """Have a format's converter make an artifact, calibrated with one input; its signature."""
    folder.mkdir()
    arrays.write(folder.parent / "set.safetensors", {"/args/0": x})
    [graph_input] = signature["inputs"]
    calibration = [{"inputs": str(folder.parent / "set.safetensors"), "feeds": [[graph_input["name"], "/args/0"]]}]
    with small_onnx.converter(name, folder.parent) as worker:
        asked = {"source": str(source), "signature": signature, "folder": str(folder)}
        answer = worker.ask("convert", small_onnx.SECONDS, calibration=calibration, **asked)
    return Small.signed(folder, {**answer["signature"], "format": name})


@pytest.mark.parametrize(("name", "operators"), [("onnx-fp16", {"Cast"}), ("onnx-int8", {"QuantizeLinear"})])
def test_onnx(name: str, operators: set[str], tmp_path: Path) -> None:
    signature, computed = perceptron(tmp_path / "onnx")
    x = np.random.default_rng(1).standard_normal((9, WIDTH)).astype(np.float32)
    folder = tmp_path / name
    made = made_from(name, tmp_path / "onnx", signature, x, folder)
    model = onnx.load(folder / made["file"])
    onnx.checker.check_model(model)  # among others that nodes stand behind what they read
    found = {node.op_type for node in model.graph.node}
    assert operators <= found
    # What a ReLU cuts off gets no steps: the range of what it takes begins at 0.
    assert ("Relu" in found) == (name == "onnx-fp16")
    asked_for = ACCURACIES[name].bits
    assert asked_for is not None

    assert bits(ran("ort", folder, made, x), computed(x)) > asked_for + (-1 if saturates() else 0.5)
    # The same with a scale that is not what was measured.
    changed = False
    for value in model.graph.initializer:
        if not changed and name == "onnx-int8" and value.name.startswith("positive") and "scale" in value.name:
            value.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(value) * np.float32(0.5), value.name))
            changed = True
    if name == "onnx-int8":
        assert changed
        onnx.save(model, folder / made["file"])
        assert bits(ran("ort", folder, made, x), computed(x)) < asked_for - (1 if saturates() else 0)


def test_openvino(tmp_path: Path) -> None:
    name = "openvino-int8"
    if reason := missing_packages(small_onnx.registry().format(name).REQUIRES):
        pytest.skip(f"{name} {reason}")
    import openvino

    signature, computed = perceptron(tmp_path / "onnx")
    (tmp_path / "openvino").mkdir()
    openvino.save_model(
        openvino.convert_model(tmp_path / "onnx" / "model.onnx"),
        tmp_path / "openvino" / "model.xml",
        compress_to_fp16=False,
    )
    x = np.random.default_rng(1).standard_normal((9, WIDTH)).astype(np.float32)
    made = made_from(name, tmp_path / "openvino", {**signature, "file": "model.xml"}, x, tmp_path / name)
    assert "FakeQuantize" in (tmp_path / name / made["file"]).read_text()
    asked_for = ACCURACIES[name].bits
    assert asked_for is not None
    assert 20 > bits(ran("openvino", tmp_path / name, made, x), computed(x)) > asked_for + (-1 if saturates() else 0.5)


@pytest.mark.compiles
def test_litert(tmp_path: Path) -> None:
    name = "litert-int8"
    if reason := missing_packages(small_onnx.registry().format(name).REQUIRES):
        pytest.skip(f"{name} {reason}")
    (tmp_path / "litert").mkdir()
    code = (
        "import torch, litert_torch, sys; torch.manual_seed(0); "
        f"model = torch.nn.Sequential(torch.nn.Linear({WIDTH}, {CLASSES}), torch.nn.Tanh()).eval(); "
        f"litert_torch.convert(model, (torch.zeros(9, {WIDTH}),)).export(sys.argv[1])"
    )
    # In a process of its own: its import changes JAX and torch.
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "litert" / "model.tflite")], check=True, capture_output=True
    )
    signature = of_litert(tmp_path / "litert" / "model.tflite")
    assert signature is not None
    x = np.random.default_rng(1).standard_normal((9, WIDTH)).astype(np.float32)
    wanted = ran("litert", tmp_path / "litert", {**signature, "format": "litert"}, x)
    made = made_from(name, tmp_path / "litert", signature, x, tmp_path / name)
    asked_for = ACCURACIES[name].bits
    assert asked_for is not None
    assert 20 > bits(ran("litert", tmp_path / name, made, x), wanted.astype(np.float64)) > asked_for + 0.5
