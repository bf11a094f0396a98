"""ONNX Runtime in JavaScript: in Node, natively and as WebAssembly; in a Chromium's page, by that and by WebGPU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from onnx import helper as graphs

from pytest_modelconform.workers import arrays
from tests.support import javascript

pytestmark = pytest.mark.installs

NODE = ("ort_node.mjs",)
WASM = ("ort_wasm.mjs",)
WEB = ("ort_web.mjs",)
WEBGPU = ("ort_web.mjs", "--provider", "webgpu")
# Named as the runtimes are.
WORKERS = {"ort-node": NODE, "ort-wasm": WASM, "ort-web": WEB, "ort-webgpu": WEBGPU}
DTYPES = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32",
          "float64")  # fmt: skip

Array = npt.NDArray[Any]


def save(
    path: Path, nodes: list[Any], inputs: dict[str, Array], outputs: Mapping[str, int], weights: dict[str, Array]
) -> str:
    """Write a graph; inputs are examples of any length, outputs are ONNX's numbers of dtypes."""
    graph = graphs.make_graph(
        nodes,
        "graph",
        [
            graphs.make_tensor_value_info(name, graphs.np_dtype_to_tensor_dtype(x.dtype), [None] * x.ndim)
            for name, x in inputs.items()
        ],
        [graphs.make_tensor_value_info(name, dtype, None) for name, dtype in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    onnx.save(graphs.make_model(graph, opset_imports=[graphs.make_opsetid("", 20)], ir_version=10), path)
    return str(path)


def product(path: Path, weight: Array) -> str:
    """y = x @ weight."""
    node = graphs.make_node("MatMul", ["x", "w"], ["y"])
    return save(path, [node], {"x": np.zeros((1, 1), "float32")}, {"y": TensorProto.FLOAT}, {"w": weight})


def call(
    worker: javascript.Worker, folder: Path, inputs: dict[str, Array], fetches: list[str], repeats: int = 2
) -> tuple[dict[str, Array], dict[str, Any]]:
    """The outputs of the first run by name, and the answer."""
    source, target = folder / "in", folder / "out"
    arrays.write(source, {f"/args/{name}": x for name, x in inputs.items()})
    feeds = [[name, f"/args/{name}"] for name in inputs]
    answer = worker.get("run", inputs=str(source), outputs=str(target), feeds=feeds, fetches=fetches, repeats=repeats)
    found = arrays.read(target)
    tree = answer["runs"][0]["outputs"]["dict"]
    return {name: found[value["tensor"]] for name, value in tree}, answer


@pytest.fixture(scope="module", params=WORKERS)
def worker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[javascript.Worker]:
    worker = javascript.Worker(javascript.command(*WORKERS[request.param]), tmp_path_factory.mktemp(request.param))
    try:
        hello = worker.get("hello", protocol=1)
        assert (hello["name"], hello["language"], hello["layout"]) == (request.param, "JavaScript", "flat")
        assert hello["version"].startswith("1.")
        assert ("(Chromium " in hello["version"]) == ("web" in request.param)
        yield worker
    finally:
        worker.end()


def test_numbers_of_a_product(worker: javascript.Worker, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weight, x = (rng.standard_normal(shape).astype("float32") for shape in ((300, 70), (9, 300)))
    loaded = worker.get("load", model=product(tmp_path / "model.onnx", weight), precision="full")
    assert loaded["seconds"] > 0
    # Transposed, as an input may arrive.
    found, answer = call(worker, tmp_path, {"x": np.asfortranarray(x)}, ["y"], repeats=3)
    expected = x.astype("float64") @ weight
    assert found["y"].dtype == np.float32
    assert np.abs(found["y"] - expected).max() < 1e-4
    assert answer["inputs_changed"] == []
    assert len(answer["runs"]) == 3
    assert all(run["seconds"] > 0 for run in answer["runs"])
    # One weight of 21000 that is another one is seen.
    weight[7, 5] += 0.5
    worker.get("load", model=product(tmp_path / "other.onnx", weight))
    wrong, _ = call(worker, tmp_path, {"x": x}, ["y"])
    changed = np.abs(wrong["y"] - expected).max(axis=0) > 1e-3
    assert changed.nonzero()[0].tolist() == [5]
    assert worker.get("unload") == {"id": worker.requests, "ok": True}
    refused = worker.ask("run", inputs="", outputs="", feeds=[], fetches=[], repeats=1)
    assert refused["error"]["message"] == "run without a loaded model"


def test_weights_in_a_file_beside_the_graph(worker: javascript.Worker, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    product(path, np.eye(64, dtype="float32") * 3)
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert path.stat().st_size < (tmp_path / "weights.bin").stat().st_size
    worker.get("load", model=str(path), external=[str(tmp_path / "weights.bin")])
    found, _ = call(worker, tmp_path, {"x": np.ones((1, 64), "float32")}, ["y"])
    assert found["y"].tolist() == [[3.0] * 64]


def test_every_dtype_comes_back_bit_for_bit(worker: javascript.Worker, tmp_path: Path) -> None:
    inputs: dict[str, Array] = {}
    for dtype in DTYPES:
        bits = np.random.default_rng(1).integers(0, 256, (3, 4, np.dtype(dtype).itemsize), dtype="uint8")
        x = bits.view(dtype)[..., 0] if dtype != "bool" else bits[..., 0] % 2 == 1
        inputs[f"x_{dtype}"] = x.T
    nodes = [graphs.make_node("Reshape", [name, "shape"], [f"y_{name}"]) for name in inputs]
    kinds = {f"y_{name}": graphs.np_dtype_to_tensor_dtype(x.dtype) for name, x in inputs.items()}
    shape = {"shape": np.array([2, 6])}
    worker.get("load", model=save(tmp_path / "model.onnx", nodes, inputs, kinds, shape))
    found, _ = call(worker, tmp_path, inputs, list(kinds))
    for name, x in inputs.items():
        y = found[f"y_{name}"]
        assert (y.dtype, y.shape) == (x.dtype, (2, 6))
        assert y.tobytes() == np.ascontiguousarray(x).tobytes(), name


def test_int64_is_exact_and_bool_and_empty_tensors_work(worker: javascript.Worker, tmp_path: Path) -> None:
    nodes = [
        graphs.make_node("Add", ["a", "a"], ["twice"]),
        graphs.make_node("Greater", ["a", "zero"], ["positive"]),
        graphs.make_node("And", ["mask", "positive"], ["both"]),
        graphs.make_node("Compress", ["a", "none"], ["empty"], axis=0),
    ]
    a, mask = np.array([2**61 + 1, -(2**60) - 3, 5]), np.array([True, True, False])
    outputs = {"twice": TensorProto.INT64, "both": TensorProto.BOOL, "empty": TensorProto.INT64}
    weights = {"zero": np.array(0), "none": np.array([False])}
    worker.get("load", model=save(tmp_path / "model.onnx", nodes, {"a": a, "mask": mask}, outputs, weights))
    found, _ = call(worker, tmp_path, {"a": a, "mask": mask}, list(outputs))
    assert found["twice"].tolist() == [2**62 + 2, -(2**61) - 6, 10]
    assert (found["both"].dtype.name, found["both"].tolist()) == ("bool", [True, False, False])
    assert (found["empty"].dtype.name, found["empty"].shape) == ("int64", (0,))


def test_a_model_and_tensors_of_more_than_100_mb(worker: javascript.Worker, tmp_path: Path) -> None:
    # 107 MB of weights, all of them counted; and as much back.
    size = 5300
    weight = np.random.default_rng(2).standard_normal((size, size), dtype="float32")
    nodes = [graphs.make_node("MatMul", ["x", "w"], ["y"]), graphs.make_node("Add", ["x", "w"], ["large"])]
    outputs = {"y": TensorProto.FLOAT, "large": TensorProto.FLOAT}
    x = np.random.default_rng(3).standard_normal((1, size), dtype="float32")
    model = save(tmp_path / "model.onnx", nodes, {"x": x}, outputs, {"w": weight})
    assert Path(model).stat().st_size > 100e6
    worker.get("load", model=model)
    found, _ = call(worker, tmp_path, {"x": x}, list(outputs), repeats=1)
    assert np.abs(found["y"] - x.astype("float64") @ weight).max() < 1e-2
    assert found["large"].nbytes > 100e6
    assert np.array_equal(found["large"], x + weight)
    worker.get("unload")


def test_what_it_refuses_and_lives_on(worker: javascript.Worker, tmp_path: Path) -> None:
    (tmp_path / "nonsense").write_bytes(b"nonsense")
    for name in ("nonsense", "nowhere"):
        refused = worker.ask("load", model=str(tmp_path / name))
        assert not refused["ok"]
        assert refused["error"]["message"]
    x = np.zeros((2, 2), "float32")
    worker.get("load", model=product(tmp_path / "model.onnx", x))
    source = tmp_path / "in"
    request = {"inputs": str(source), "outputs": str(tmp_path / "out"), "feeds": [["x", "x"]], "repeats": 1}
    arrays.write(source, {"x": np.zeros((2, 3), "float32")})
    assert "y" not in worker.ask("run", **request, fetches=["y"]).get("runs", [{}])[0]
    arrays.write(source, {"x": x})
    assert not worker.ask("run", **request, fetches=["z"])["ok"]
    source.write_bytes(b"12345678")
    malformed = worker.ask("run", **request, fetches=["y"])["error"]
    assert malformed["type"] == "TensorFileError"
    arrays.write(source, {"x": x})
    assert worker.get("run", **request, fetches=["y"])["runs"]


@pytest.mark.parametrize("kind", ["ort-node", "ort-wasm"])
def test_as_many_threads_as_are_asked_for(kind: str, tmp_path: Path) -> None:
    def threads_of(threads: int) -> int:
        folder = tmp_path / str(threads)
        folder.mkdir()
        worker = javascript.Worker(javascript.command(*WORKERS[kind], threads=threads), folder)
        try:
            model = product(folder / "model.onnx", np.ones((64, 64), "float32"))
            worker.get("hello", protocol=1)
            worker.get("load", model=model)
            found, _ = call(worker, folder, {"x": np.ones((64, 64), "float32")}, ["y"])
            assert np.array_equal(found["y"], np.full((64, 64), 64.0, "float32"))
            return len(list(Path(f"/proc/{worker.process.pid}/task").iterdir()))
        finally:
            worker.end()

    assert threads_of(4) == threads_of(1) + 3
