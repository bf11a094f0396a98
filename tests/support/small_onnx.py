"""A small ONNX model with its signature, and workers of runtimes and formats that are asked for it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx import helper as graphs

from pytest_modelconform.cache import store
from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.cells.worker import Worker
from pytest_modelconform.formats import built_in as formats
from pytest_modelconform.workers import arrays
from pytest_modelconform.workers.arrays import Array

SECONDS = 240.0


@dataclass(frozen=True)
class Small:
    """Four results, of any batch.

    `scaled` = relu(x · weight) of x (batch, 4); `next` = index + 1 of int64 (batch,); `off` = not flag, bool (batch,);
    `total` = sum(x) + shift, both without dimensions.
    """

    weight: Array

    def write(self, folder: Path) -> dict[str, Any]:
        """Write `model.onnx` to `folder`; its signature."""
        folder.mkdir(parents=True, exist_ok=True)
        x = graphs.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])
        index = graphs.make_tensor_value_info("index", TensorProto.INT64, ["batch"])
        scaled = graphs.make_tensor_value_info("scaled", TensorProto.FLOAT, ["batch", 3])
        following = graphs.make_tensor_value_info("next", TensorProto.INT64, ["batch"])
        flag = graphs.make_tensor_value_info("flag", TensorProto.BOOL, ["batch"])
        off = graphs.make_tensor_value_info("off", TensorProto.BOOL, ["batch"])
        shift = graphs.make_tensor_value_info("shift", TensorProto.FLOAT, [])
        total = graphs.make_tensor_value_info("total", TensorProto.FLOAT, [])
        nodes = [
            graphs.make_node("MatMul", ["x", "weight"], ["product"]),
            graphs.make_node("Relu", ["product"], ["scaled"]),
            graphs.make_node("Add", ["index", "one"], ["next"]),
            graphs.make_node("Not", ["flag"], ["off"]),
            graphs.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
            graphs.make_node("Add", ["sum", "shift"], ["total"]),
        ]
        constants = [numpy_helper.from_array(self.weight, "weight"), numpy_helper.from_array(np.array([1]), "one")]
        taken, returned = [x, index, flag, shift], [scaled, following, off, total]
        graph = graphs.make_graph(nodes, "main_graph", taken, returned, constants)
        model = graphs.make_model(graph, opset_imports=[graphs.make_opsetid("", 18)], ir_version=10)
        onnx.save(model, folder / "model.onnx")
        inputs = [
            {"name": "x", "path": "/args/0", "dtype": "float32", "shape": ["batch", 4]},
            {"name": "index", "path": "/args/1", "dtype": "int64", "shape": ["batch"]},
            {"name": "flag", "path": "/args/2", "dtype": "bool", "shape": ["batch"]},
            {"name": "shift", "path": "/args/3", "dtype": "float32", "shape": []},
        ]
        outputs = [{"name": value.name, "path": f"/{i}"} for i, value in enumerate(returned)]
        signature = {"file": "model.onnx", "layout": "flat", "inputs": inputs, "outputs": outputs, "format": "onnx"}
        return self.signed(folder, {**signature, "dropped": [], "operators": []})

    @staticmethod
    def signed(folder: Path, signature: dict[str, Any]) -> dict[str, Any]:
        """Write the signature of an artifact, as the plugin does. Returns it."""
        (folder / "signature.json").write_text(store.dumps(signature))
        return signature

    def expected(self, x: Array, index: Array, flag: Array, shift: Array) -> list[Array]:
        """What the model returns, by numpy."""
        product: Array = x @ self.weight
        return [np.maximum(product, 0), index + 1, ~flag, x.sum() + shift]


def registry() -> Registry:
    """The built-in formats and runtimes."""
    made = Registry()
    register_built_in(made)
    return made


@contextmanager
def started(name: str, command: Sequence[str]) -> Iterator[Worker]:
    """A worker that has said hello."""
    worker = Worker(name, command, {**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        worker.hello(SECONDS)
        yield worker
    finally:
        worker.close(kill=True)


def converter(name: str, folder: Path) -> Any:
    """A started converter of a format."""
    module: Any = registry().format(name)
    assert name in formats.BUILT_IN
    return started(name, module.command(1, folder, print))


def converted(worker: Worker, name: str, source: Path, signature: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Have a converter make an artifact in `folder`; its signature."""
    folder.mkdir()
    answer = worker.ask("convert", SECONDS, source=str(source), signature=signature, folder=str(folder))
    assert answer["seconds"] > 0
    return Small.signed(folder, {**answer["signature"], "format": name})


def load(worker: Worker, runtime: str, folder: Path, signature: dict[str, Any]) -> None:
    """Have a runtime's worker load an artifact."""
    request = registry().runtime(runtime).load_request(folder, signature)
    worker.ask("load", SECONDS, precision="full", **request)


def outputs(worker: Worker, signature: dict[str, Any], feeds: Mapping[str, Array], folder: Path) -> list[Array]:
    """What a loaded artifact returns for arrays by path, run twice with the same result."""
    arrays.write(folder / "inputs.safetensors", feeds)
    target = folder / "outputs.safetensors"
    answer = worker.ask(
        "run",
        SECONDS,
        inputs=str(folder / "inputs.safetensors"),
        outputs=str(target),
        repeats=2,
        feeds=[[value["name"], value["path"]] for value in signature["inputs"]],
        fetches=[value["name"] for value in signature["outputs"]],
    )
    assert answer["inputs_changed"] == []
    assert answer["runs"][1]["same_as"] == 0
    found = arrays.read(target)
    tree = dict(answer["runs"][0]["outputs"]["dict"])
    return [np.array(found[tree[value["name"]]["tensor"]]) for value in signature["outputs"]]
