"""What OpenCV only logs is an error of the load."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from onnx import helper as graphs

from pytest_modelconform.workers.loop import WorkerError
from pytest_modelconform.workers.python import opencv_worker


def model(folder: Path, operator: str, *inputs: str) -> str:
    """One node: a spectrum, or something that OpenCV has."""
    numbers = {"step": np.array(16), "length": np.array(64)}
    graph = graphs.make_graph(
        [graphs.make_node(operator, ["x", *inputs], ["y"])],
        "graph",
        [graphs.make_tensor_value_info("x", TensorProto.FLOAT, [1, 128, 1])],
        [graphs.make_tensor_value_info("y", TensorProto.FLOAT, ["a", "b", "c", "d"][: 4 if inputs else 3])],
        [numpy_helper.from_array(number, name) for name, number in numbers.items() if name in inputs],
    )
    path = folder / "model.onnx"
    onnx.save(graphs.make_model(graph, opset_imports=[graphs.make_opsetid("", 18)], ir_version=8), path)
    return str(path)


def test_operators_that_it_does_not_have_are_named(tmp_path: Path) -> None:
    load = opencv_worker.handlers("cpu", 1)["load"]
    with pytest.raises(WorkerError, match=r"OpenCV can't read the file: unsupported operations: STFT$"):
        load({"op": "load", "model": model(tmp_path, "STFT", "step", "", "length")})
    load({"op": "load", "model": model(tmp_path, "Relu")})
