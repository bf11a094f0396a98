"""The C++ harness: real engines, spoken to over the wire."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import onnx
import pytest
import torch
from onnx import TensorProto
from onnx import helper as graphs

from pytest_modelconform.building import harness
from tests.building.talking import (
    DTYPES,
    ENGINES,
    Worker,
    built,
    by_hand,
    bytes_of,
    jit,
    script,
    tensor,
    write_inputs,
)

# torch.jit is deprecated, and what the harness loads.
pytestmark = [
    pytest.mark.compiles,
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning", "ignore:.*torch.jit.*:FutureWarning"),
]


# ---- Models ----------------------------------------------------------------------------------------------------------


class Identity(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class Pair(NamedTuple):
    first: torch.Tensor
    second: torch.Tensor


class Everything(torch.nn.Module):
    """Takes and returns each kind of value that TorchScript knows and the wire can say."""

    def forward(
        self,
        x: torch.Tensor,
        pair: tuple[torch.Tensor, list[torch.Tensor]],
        named: dict[str, torch.Tensor],
        numbered: dict[int, list[torch.Tensor]],
        maybe: torch.Tensor | None,
        empty: list[torch.Tensor],
        n: int,
        f: float,
        flag: bool,
        text: str,
        sizes: list[int],
    ) -> tuple[
        torch.Tensor,
        tuple[torch.Tensor, list[torch.Tensor]],
        dict[str, torch.Tensor],
        dict[int, list[torch.Tensor]],
        torch.Tensor | None,
        list[torch.Tensor],
        int,
        float,
        bool,
        str,
        list[int],
        Pair,
    ]:
        return x, pair, named, numbered, maybe, empty, n, f, flag, text, sizes, Pair(x + 1, x + 2)


class Strides(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[int]]:
        return x, list(x.stride())


class Counter(torch.nn.Module):
    """Returns 1, 0, 1, 0, ...: its own state, not a copy."""

    def __init__(self) -> None:
        super().__init__()
        self.count = torch.nn.Parameter(torch.zeros(2), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count.add_(1).remainder_(2)
        x.add_(1)
        return self.count


class Raises(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 0:
            raise ValueError("no positive sums")
        print("a model that prints")
        return x


def onnx_model(path: Path, inputs: dict[str, tuple[int, list[int | str]]], outputs: dict[str, str]) -> str:
    """A graph whose outputs are inputs passed on: {output: input}."""
    graph = graphs.make_graph(
        [graphs.make_node("Identity", [source], [name]) for name, source in outputs.items()],
        "identity",
        [graphs.make_tensor_value_info(name, dtype, shape) for name, (dtype, shape) in inputs.items()],
        [graphs.make_tensor_value_info(name, *inputs[source]) for name, source in outputs.items()],
    )
    model = graphs.make_model(graph, opset_imports=[graphs.make_opsetid("", 21)], ir_version=10)
    onnx.save(model, path)
    return str(path)


def two_in_two_out(path: Path) -> str:
    shapes: dict[str, tuple[int, list[int | str]]] = {
        "a": (TensorProto.FLOAT, ["n", 3]),
        "b": (TensorProto.INT64, []),
    }
    return onnx_model(path, shapes, {"second": "b", "first": "a"})


# ---- The wire, whatever the engine -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("engine", "distribution", "layout"),
    [("libtorch", "torch", "tree"), ("ort", "onnxruntime", "flat"), ("openvino", "openvino", "flat")],
)
def test_hello_says_what_runs(engine: str, distribution: str, layout: str, start: Callable[..., Worker]) -> None:
    worker = start(engine)
    answer = worker.get("hello", protocol=1)
    assert answer["name"] == f"{engine}-cpp"
    assert version(distribution).startswith(answer["version"])
    assert answer["language"] == "C++"
    assert answer["layout"] == layout
    assert answer["protocol"] == 1
    assert answer["devices"][0] == "cpu"
    assert worker.get("quit") == {}
    # The first answer counts from the start of the process, which loads the library.
    assert worker.spent[0][1] > worker.spent[1][1] >= 0
    assert worker.close() == (0, "")


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_no_request_is_answered_and_the_worker_goes_on(engine: str, ask: Callable[..., Worker]) -> None:
    worker = ask(engine)
    assert worker.fail("hello", protocol=2) == "this worker speaks protocol 1, the request asks for 2"
    assert worker.fail("hello") == "the request has no 'protocol'"
    assert worker.fail("dance") == "unknown op 'dance'"
    assert worker.fail("load", model=3) == "'model' is a text, not a number"
    assert worker.fail("load", model="m", libraries="one") == "'libraries' is a list, not a string"
    for line, message in (
        (b"what?", "the line isn't a JSON object"),
        (b"[1]", "the line isn't a JSON object"),
        (b"\xff{}", "the line isn't a JSON object"),
        (b'{"op": "hello"}', "the request has no 'id'"),
        (b'{"id": "1", "op": "hello"}', "'id' is an integer, not a string"),
        (b'{"id": 1}', "the request has no 'op'"),
        (b"[" * 100_000, "the line isn't a JSON object"),
        (b"x" * (2**24 + 1), "a line is longer than 16777216 bytes"),
    ):
        answer = worker.say(line)
        assert answer["ok"] is False
        assert answer["error"]["message"] == message
    assert worker.get("hello", protocol=1)["protocol"] == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_a_model_that_cannot_be_loaded_is_an_answer(engine: str, ask: Callable[..., Worker], tmp_path: Path) -> None:
    worker = ask(engine)
    (tmp_path / "broken").write_bytes(b"no model")
    assert worker.fail("load", model=str(tmp_path / "broken"), format="", operators=[])
    assert worker.fail("load", model=str(tmp_path / "nothing"))
    inputs = str(write_inputs(tmp_path / "in", {}))
    request: dict[str, object] = {"args": [], "kwargs": [], "feeds": [], "fetches": []}
    assert worker.fail("run", inputs=inputs, outputs=str(tmp_path / "out"), **request) == "no model is loaded"
    assert worker.get("unload") == {}
    assert worker.get("hello", protocol=1)["layout"] in ("tree", "flat")


# A model of the C++ frontend is a library as well: tests/runtimes/test_cpp_frontend.py.
@pytest.mark.parametrize("engine", [engine for engine in ENGINES if engine != "frontend"])
def test_a_model_is_loaded_in_a_precision(engine: str, ask: Callable[..., Worker], tmp_path: Path) -> None:
    worker = ask(engine)
    inputs = {"x": torch.ones(2, 3), "n": torch.tensor(5)}
    if engine == "libtorch":
        model = script(Identity(), tmp_path / "m.pt")
        request: dict[str, object] = {"args": [{"tensor": "x"}], "kwargs": []}
    else:
        model = two_in_two_out(tmp_path / "m.onnx")
        request = {"feeds": [["a", "x"], ["b", "n"]], "fetches": ["first"]}
    for precision in ("fast", "full", "fast"):
        worker.get("load", model=model, precision=precision)
        _, outputs = worker.run(inputs, **request)
        assert all(torch.equal(value, inputs["x"]) for value in outputs.values())
    assert worker.fail("load", model=model, precision="half") == "'precision' is 'full' or 'fast', not 'half'"
    assert worker.fail("load", model=model, precision=1) == "'precision' is a text, not a number"


def test_the_end_of_input_ends_the_worker(start: Callable[..., Worker]) -> None:
    libtorch = start("libtorch")
    assert libtorch.get("hello", protocol=1)
    assert libtorch.close() == (0, "")


def test_a_worker_whose_parent_is_gone_ends(start: Callable[..., Worker]) -> None:
    status, stderr = start("ort", MODELCONFORM_PARENT="1").close()
    assert status == 1
    assert stderr == "the process 1 that started this worker has ended\n"


def test_a_worker_ends_with_the_watchdog_pipe() -> None:
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [built("ort"), "--worker"],
        stdin=subprocess.PIPE,
        env={**os.environ, "MODELCONFORM_WATCHDOG": str(reading)},
        pass_fds=[reading],
    )
    os.close(reading)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    os.close(writing)
    assert process.wait(30) == 1
    assert process.stdin is not None
    process.stdin.close()


@pytest.mark.skipif(sys.platform != "linux", reason="prctl and /proc are Linux's")
def test_a_worker_dies_with_its_parent(tmp_path: Path) -> None:
    script = (
        "import os, subprocess, sys, time\n"
        f"worker = subprocess.Popen([{str(built('ort'))!r}, '--worker'], stdin=subprocess.PIPE,"
        " env={**os.environ, 'MODELCONFORM_PARENT': str(os.getpid())})\n"
        "print(worker.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = Path("/proc", parent.stdout.readline().strip())
    deadline = time.monotonic() + 30
    while (worker / "oom_score_adj").read_text() != "1000\n" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (worker / "oom_score_adj").read_text() == "1000\n"
    parent.kill()
    parent.communicate()
    while worker.exists() and "zombie" not in (worker / "status").read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not worker.exists() or "zombie" in (worker / "status").read_text()


# ---- libtorch --------------------------------------------------------------------------------------------------------


def test_trees_go_in_and_come_out(libtorch: Worker, tmp_path: Path) -> None:
    libtorch.get("load", model=script(Everything(), tmp_path / "m.pt"), format="torchscript-script", operators=[])
    keys = ("x", "p", "q", "r", "s", "t")
    inputs = {key: tensor("float32", 2) * (i + 1) for i, key in enumerate(keys)}
    trees = {key: {"tensor": key} for key in keys}
    args = [
        trees["x"],
        {"tuple": [trees["p"], {"list": [trees["q"], trees["r"]]}]},
        {"dict": [["b", trees["s"]], ["a", trees["s"]]]},
        {"dict": [[7, {"list": [trees["t"]]}], [-1, {"list": []}]]},
        {"none": True},
        {"list": []},
    ]
    kwargs = [
        ["text", {"value": "ä"}],
        ["flag", {"value": True}],
        ["f", {"float": "0x1.8p-3"}],
        ["n", {"value": -(2**63)}],
        ["sizes", {"tuple": [{"value": 1}, {"value": 2}]}],
    ]
    answer, outputs = libtorch.run(inputs, args=args, kwargs=kwargs)
    assert answer["inputs_changed"] == []
    tree = answer["runs"][0]["outputs"]["tuple"]
    assert tree == [
        {"tensor": "0/0"},
        {"tuple": [{"tensor": "0/1/0"}, {"list": [{"tensor": "0/1/1/0"}, {"tensor": "0/1/1/1"}]}]},
        {"dict": [["b", {"tensor": "0/2/b"}], ["a", {"tensor": "0/2/a"}]]},
        {"dict": [[7, {"list": [{"tensor": "0/3/7/0"}]}], [-1, {"list": []}]]},
        {"none": True},
        {"list": []},
        {"tensor": "0/6"},
        {"tensor": "0/7"},
        {"tensor": "0/8"},
        {"value": "ä"},
        {"list": [{"tensor": "0/10/0"}, {"tensor": "0/10/1"}]},
        {"tuple": [{"tensor": "0/11/0"}, {"tensor": "0/11/1"}]},
    ]
    expected = {
        "0/0": inputs["x"],
        "0/1/0": inputs["p"],
        "0/1/1/0": inputs["q"],
        "0/1/1/1": inputs["r"],
        "0/2/b": inputs["s"],
        "0/2/a": inputs["s"],
        "0/3/7/0": inputs["t"],
        "0/6": torch.tensor(-(2**63)),
        "0/7": torch.tensor(0.1875, dtype=torch.float64),
        "0/8": torch.tensor(True),
        "0/10/0": torch.tensor(1),
        "0/10/1": torch.tensor(2),
        "0/11/0": inputs["x"] + 1,
        "0/11/1": inputs["x"] + 2,
    }
    assert set(outputs) == set(expected)
    for key, value in expected.items():
        assert outputs[key].dtype == value.dtype
        assert torch.equal(outputs[key], value)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_and_layout_survives_libtorch(dtype: str, libtorch: Worker, tmp_path: Path) -> None:
    libtorch.get("load", model=script(Strides(), tmp_path / "m.pt"))
    inputs = {
        "plain": tensor(dtype, 2, 3),
        "transposed": tensor(dtype, 3, 2).T,
        "permuted": tensor(dtype, 2, 3, 4).permute(2, 0, 1),
        "scalar": tensor(dtype),
        "empty": tensor(dtype, 0, 3),
    }
    for key, value in inputs.items():
        answer, outputs = libtorch.run(inputs, args=[{"tensor": key}], kwargs=[], repeats=2)
        assert answer["runs"][1]["same_as"] == 0
        assert outputs["0/0"].dtype == value.dtype
        assert outputs["0/0"].shape == value.shape
        assert bytes_of(outputs["0/0"]) == bytes_of(value)
        strides = [int(outputs[f"0/1/{i}"]) for i in range(value.dim())]
        assert value.numel() == 0 or strides == list(value.stride())


def test_runs_are_compared_and_changed_inputs_named(libtorch: Worker, tmp_path: Path) -> None:
    libtorch.get("load", model=script(Counter(), tmp_path / "m.pt"))
    inputs = {"kept": torch.zeros(1), "changed": torch.zeros(3, 2).T}
    answer, outputs = libtorch.run(inputs, args=[{"tensor": "changed"}], kwargs=[], repeats=4)
    runs = answer["runs"]
    assert [run.get("same_as") for run in runs] == [None, None, 0, 1]
    assert [run.get("outputs") for run in runs] == [{"tensor": "0"}, {"tensor": "1"}, None, None]
    assert all(run["seconds"] > 0 for run in runs)
    assert answer["inputs_changed"] == ["changed"]
    assert outputs["0"].tolist() == [1, 1]
    assert outputs["1"].tolist() == [0, 0]


def test_what_a_model_raises_is_an_answer_and_what_it_prints_is_not(
    start: Callable[..., Worker], tmp_path: Path
) -> None:
    libtorch = start("libtorch")
    libtorch.get("load", model=script(Raises(), tmp_path / "m.pt"))
    inputs = str(write_inputs(tmp_path / "in", {"x": torch.ones(2), "y": -torch.ones(2)}))
    request: dict[str, Any] = {"inputs": inputs, "outputs": str(tmp_path / "out"), "kwargs": []}
    answer = libtorch.ask("run", args=[{"tensor": "x"}], **request)
    assert answer["error"]["type"] == "ValueError"
    assert answer["error"]["message"] == "no positive sums"
    assert "Traceback of TorchScript" in answer["error"]["details"]
    assert "Expected a value of type 'Tensor" in libtorch.fail("run", args=[{"value": 1}], **request)
    assert "missing value for argument 'x'" in libtorch.fail("run", args=[], **request)
    assert libtorch.get("run", args=[{"tensor": "y"}], **request)["runs"]
    libtorch.get("quit")
    assert libtorch.close() == (0, "a model that prints\n")


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"tensor": "nothing"}, "the input file has no tensor 'nothing'"),
        ({"tensor": 1}, "a tree's 'tensor' is a key, not 1"),
        ({"array": []}, "a tree of an unknown kind 'array'"),
        ({}, "a tree is an object with one key, not {}"),
        (3, "a tree is an object with one key, not 3"),
        ({"list": 3}, "a tree's items are a list, not 3"),
        ({"dict": [[1.5, {"none": True}]]}, "a key in a tree's 'dict' is a string or an integer, not 1.5"),
        ({"dict": [["a"]]}, "an item of a tree's 'dict' is [KEY, TREE], not [\"a\"]"),
        ({"value": 1.5}, "a tree's 'value' is a bool, a string or a 64-bit integer, not 1.5"),
        ({"value": 2**63}, "a tree's 'value' is a bool, a string or a 64-bit integer, not 9223372036854775808"),
        ({"float": "1,5"}, 'a tree\'s \'float\' is a text such as "0x1.8p+0", "inf" or "nan", not "1,5"'),
    ],
)
def test_a_wrong_tree_is_named(tree: object, message: str, libtorch: Worker, tmp_path: Path) -> None:
    inputs = str(write_inputs(tmp_path / "in", {"x": torch.ones(2)}))
    request: dict[str, Any] = {"inputs": inputs, "outputs": str(tmp_path / "out"), "kwargs": []}
    assert libtorch.fail("run", args=[tree], **request) == message


def test_a_tree_that_nests_for_ever_is_refused(libtorch: Worker, tmp_path: Path) -> None:
    inputs = str(write_inputs(tmp_path / "in", {"x": torch.ones(2)}))
    depth = 100_000
    tree = '{"list": [' * depth + '{"none": true}' + "]}" * depth
    fields = f'"inputs": {json.dumps(inputs)}, "outputs": "out", "kwargs": [], "args": [{tree}]'
    answer = libtorch.say(f'{{"id": 1, "op": "run", {fields}}}'.encode())
    assert answer["error"]["message"] == "a tree is nested deeper than 200"


def test_torchvision_operators_run(libtorch: Worker, tmp_path: Path) -> None:
    from torchvision.ops import nms

    class Nms(torch.nn.Module):
        def forward(self, boxes: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            kept: torch.Tensor = nms(boxes, scores, 0.5)
            return kept

    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30]])
    scores = torch.tensor([0.5, 0.9, 0.1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        jit.trace(Nms(), (boxes, scores)).save(str(tmp_path / "m.pt"))
    assert "torchvision::nms" in libtorch.fail("load", model=str(tmp_path / "m.pt"))
    libraries = [str(path) for path in harness.torchvision_libraries()]
    libtorch.get("load", model=str(tmp_path / "m.pt"), operators=["torchvision"], libraries=libraries)
    _, outputs = libtorch.run({"b": boxes, "s": scores}, args=[{"tensor": "b"}, {"tensor": "s"}], kwargs=[])
    assert outputs["0"].tolist() == [1, 2]


# ---- Tensor files ----------------------------------------------------------------------------------------------------


def tensor_file(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype: str = "F32", shape: list[Any] | None = None, offsets: list[Any] | None = None) -> dict[str, object]:
    return {"dtype": dtype, "shape": [1] if shape is None else shape, "data_offsets": offsets or [0, 4]}


def with_extras(extras: object, dtype: str = "F32", shape: list[int] | None = None) -> bytes:
    metadata = {"modelconform": extras if isinstance(extras, str) else json.dumps(extras)}
    return tensor_file({"__metadata__": metadata, "x": entry(dtype, shape)}, bytes(4))


MALFORMED = {
    "empty": (b"", "is truncated: 0 bytes, less than the length of a header"),
    "short header": (tensor_file({}, length=100), "is truncated: announces a header of 100 bytes, has 2"),
    "huge header": (tensor_file({}, length=2**63), "announces a header of 9223372036854775808 bytes"),
    "no JSON": (tensor_file(b"{nonsense"), "its header isn't a JSON object"),
    "a list": (tensor_file([]), "its header isn't a JSON object"),
    "no entry": (tensor_file({"x": 1}), "tensor 'x' isn't a JSON object"),
    "no dtype": (tensor_file({"x": {"shape": [1], "data_offsets": [0, 4]}}, bytes(4)), "tensor 'x' has no dtype"),
    "unknown dtype": (tensor_file({"x": entry("F31")}, bytes(4)), "has the dtype F31, which this reader doesn't know"),
    "no shape": (tensor_file({"x": {"dtype": "F32", "data_offsets": [0, 4]}}, bytes(4)), "has no list 'shape'"),
    "negative": (tensor_file({"x": entry(shape=[-1])}, bytes(4)), "'shape' holds -1, which is no size"),
    "fraction": (tensor_file({"x": entry(shape=[1.0])}, bytes(4)), "'shape' holds 1.0, which is no size"),
    "beyond 63 bits": (tensor_file({"x": entry(shape=[2**63])}, bytes(4)), "'shape' holds 9223372036854775808"),
    "overflow": (tensor_file({"x": entry(shape=[2**62, 2**62])}, bytes(4)), "overflows"),
    "too few bytes": (tensor_file({"x": entry(shape=[2])}, bytes(4)), "needs 8 bytes, its 'data_offsets' give 4"),
    "truncated data": (tensor_file({"x": entry()}, bytes(3)), "is truncated: tensor 'x' ends at byte 4 of the data"),
    "backwards": (tensor_file({"x": entry(offsets=[4, 0])}, bytes(4)), "'data_offsets' isn't [begin, end]"),
    "overlap": (
        tensor_file({"x": entry(shape=[2], offsets=[0, 8]), "y": entry(offsets=[4, 8])}, bytes(8)),
        "two of its tensors overlap at byte 4",
    ),
    "hole": (tensor_file({"x": entry(offsets=[4, 8])}, bytes(8)), "bytes 0 to 4 of its data belong to no tensor"),
    "surplus": (tensor_file({"x": entry()}, bytes(8)), "the last 4 bytes of its data belong to no tensor"),
    "metadata": (tensor_file({"__metadata__": 1}), "its __metadata__ isn't a JSON object"),
    "extras": (with_extras("nonsense"), "its metadata 'modelconform' isn't a JSON object"),
    "extras of nothing": (with_extras({"y": {}}), "its metadata describes 'y', which it doesn't hold"),
    "extra dtype": (with_extras({"x": {"dtype": "float9"}}), 'its metadata names the dtype "float9"'),
    "stored otherwise": (
        with_extras({"x": {"dtype": "float8_e5m2"}}),
        "float8_e5m2 by its metadata, but stored as F32",
    ),
    "no pairs": (with_extras({"x": {"dtype": "complex64"}}), "is complex, but its last dimension isn't 2"),
    "order": (with_extras({"x": {"order": [1]}}), "order [1] doesn't name each dimension of [1] once"),
    "order of other rank": (with_extras({"x": {"order": [0, 0]}}), "doesn't name each dimension"),
    "order of what": (with_extras({"x": {"order": "0"}}), "doesn't name each dimension"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_tensor_file_is_refused(name: str, ask: Callable[..., Worker], tmp_path: Path) -> None:
    content, message = MALFORMED[name]
    (tmp_path / "in").write_bytes(content)
    worker = ask("ort")
    request = {"inputs": str(tmp_path / "in"), "outputs": str(tmp_path / "out"), "feeds": [], "fetches": []}
    answer = worker.ask("run", **request)
    assert answer["error"]["type"] == "TensorFileError"
    assert answer["error"]["message"].startswith(f"tensor file {tmp_path / 'in'}: ")
    assert message in answer["error"]["message"]
    assert worker.get("hello", protocol=1)


def test_a_tensor_file_that_cannot_be_read_or_written(ask: Callable[..., Worker], tmp_path: Path) -> None:
    worker = ask("ort")
    worker.get("load", model=two_in_two_out(tmp_path / "m.onnx"))
    inputs = str(write_inputs(tmp_path / "in", {"x": torch.ones(1, 3), "n": torch.tensor(1)}))
    feeds = {"feeds": [["a", "x"], ["b", "n"]], "fetches": ["first"]}
    nowhere = str(tmp_path / "no" / "out")
    assert "cannot be opened: No such file" in worker.fail("run", inputs=nowhere, outputs=nowhere, **feeds)
    assert "is not a plain file" in worker.fail("run", inputs=str(tmp_path), outputs=nowhere, **feeds)
    assert "cannot be written: No such file" in worker.fail("run", inputs=inputs, outputs=nowhere, **feeds)
    if Path("/dev/full").exists():
        assert "No space left on device" in worker.fail("run", inputs=inputs, outputs="/dev/full", **feeds)


# ---- Graphs: ONNX Runtime and OpenVINO -------------------------------------------------------------------------------

FLAT = ("ort", "openvino")
ONNX_DTYPES = {
    "bool": TensorProto.BOOL,
    "uint8": TensorProto.UINT8,
    "int8": TensorProto.INT8,
    "uint16": TensorProto.UINT16,
    "int16": TensorProto.INT16,
    "uint32": TensorProto.UINT32,
    "int32": TensorProto.INT32,
    "uint64": TensorProto.UINT64,
    "int64": TensorProto.INT64,
    "float16": TensorProto.FLOAT16,
    "bfloat16": TensorProto.BFLOAT16,
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
    "complex64": TensorProto.COMPLEX64,
    "complex128": TensorProto.COMPLEX128,
    "float8_e4m3fn": TensorProto.FLOAT8E4M3FN,
    "float8_e5m2": TensorProto.FLOAT8E5M2,
}
# What the engines themselves cannot do, in their own words.
REFUSED = {
    ("ort", "complex64"): "tensor(complex64) is not currently registered or supported",
    ("ort", "complex128"): "tensor(complex128) is not currently registered or supported",
    ("openvino", "complex64"): "Loading input model\nUnsupported type",
    ("openvino", "complex128"): "Loading input model\nUnsupported type",
}


@pytest.mark.parametrize("engine", FLAT)
def test_graphs_are_fed_and_fetched_by_name(engine: str, ask: Callable[..., Worker], tmp_path: Path) -> None:
    worker = ask(engine)
    worker.get("load", model=two_in_two_out(tmp_path / "m.onnx"), format="onnx", operators=[])
    inputs = {"/args/0": torch.arange(6.0).reshape(3, 2).T, "/args/1": torch.tensor(5)}
    feeds = [["b", "/args/1"], ["a", "/args/0"]]
    answer, outputs = worker.run(inputs, feeds=feeds, fetches=["first", "second"], repeats=2)
    assert answer["runs"][0]["outputs"] == {
        "dict": [["first", {"tensor": "0/first"}], ["second", {"tensor": "0/second"}]]
    }
    assert answer["runs"][1]["same_as"] == 0
    assert answer["inputs_changed"] == []
    assert torch.equal(outputs["0/first"], inputs["/args/0"])
    assert torch.equal(outputs["0/second"], inputs["/args/1"])
    # Another shape of the same model, and a part of the outputs.
    inputs["/args/0"] = torch.zeros(0, 3)
    answer, outputs = worker.run(inputs, feeds=feeds, fetches=["first"])
    assert outputs["0/first"].shape == (0, 3)
    assert set(outputs) == {"0/first"}


@pytest.mark.parametrize("engine", FLAT)
def test_wrong_feeds_are_answers(engine: str, ask: Callable[..., Worker], tmp_path: Path) -> None:
    worker = ask(engine)
    worker.get("load", model=two_in_two_out(tmp_path / "m.onnx"))
    inputs = str(write_inputs(tmp_path / "in", {"x": torch.ones(1, 3), "wide": torch.ones(1, 4), "n": torch.tensor(1)}))
    request: dict[str, Any] = {"inputs": inputs, "outputs": str(tmp_path / "out"), "fetches": ["first"]}
    assert worker.fail("run", feeds=[["a", "x"]], **request)
    assert re.search(r"\bc\b", worker.fail("run", feeds=[["a", "x"], ["c", "n"]], **request))
    assert "4" in worker.fail("run", feeds=[["a", "wide"], ["b", "n"]], **request)
    assert worker.fail("run", feeds=[["a", "n"], ["b", "n"]], **request)
    assert "the input file has no tensor 'y'" in worker.fail("run", feeds=[["a", "y"]], **request)
    assert "is no [NAME, ...]" in worker.fail("run", feeds=[["a"]], **request)
    request["fetches"] = ["third"]
    assert "third" in worker.fail("run", feeds=[["a", "x"], ["b", "n"]], **request)
    request["fetches"] = ["first"]
    assert worker.get("run", feeds=[["a", "x"], ["b", "n"]], **request)["runs"]


@pytest.mark.parametrize("engine", FLAT)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_of_a_graph_survives(engine: str, dtype: str, ask: Callable[..., Worker], tmp_path: Path) -> None:
    worker = ask(engine)
    model = onnx_model(tmp_path / "m.onnx", {"x": (ONNX_DTYPES[dtype], ["n", "m"])}, {"y": "x"})
    expected = REFUSED.get((engine, dtype))
    value = tensor(dtype, 3, 2).T
    feeds: dict[str, object] = {"feeds": [["x", "v"]], "fetches": ["y"]}
    if expected is not None:
        answer = worker.ask("load", model=model)
        if answer["ok"]:
            file = str(write_inputs(tmp_path / "in", {"v": value}))
            answer = worker.ask("run", inputs=file, outputs=str(tmp_path / "out"), **feeds)
        assert expected in answer["error"]["message"]
        return
    worker.get("load", model=model)
    _, outputs = worker.run({"v": value}, **feeds)
    assert outputs["0/y"].dtype == value.dtype
    assert outputs["0/y"].shape == value.shape
    assert bytes_of(outputs["0/y"]) == bytes_of(value)


def test_sequences_come_out_as_lists(ask: Callable[..., Worker], tmp_path: Path) -> None:
    graph = graphs.make_graph(
        [graphs.make_node("SequenceConstruct", ["x", "x"], ["y"])],
        "sequence",
        [graphs.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [graphs.make_tensor_sequence_value_info("y", TensorProto.FLOAT, [2])],
    )
    onnx.save(graphs.make_model(graph, opset_imports=[graphs.make_opsetid("", 17)], ir_version=10), tmp_path / "m.onnx")
    worker = ask("ort")
    worker.get("load", model=str(tmp_path / "m.onnx"))
    answer, outputs = worker.run({"v": torch.ones(2)}, feeds=[["x", "v"]], fetches=["y"])
    expected = {"dict": [["y", {"list": [{"tensor": "0/y/0"}, {"tensor": "0/y/1"}]}]]}
    assert answer["runs"][0]["outputs"] == expected
    assert outputs["0/y/1"].tolist() == [1, 1]


# ---- By hand ---------------------------------------------------------------------------------------------------------


def test_a_torchscript_module_by_hand(tmp_path: Path) -> None:
    model = script(Everything(), tmp_path / "m.pt")
    answer = by_hand(built("libtorch"), model, "--ones", "2,3")
    assert answer.returncode == 1
    assert "missing value for argument 'pair'" in answer.stderr
    model = script(Strides(), tmp_path / "s.pt")
    answer = by_hand(built("libtorch"), model, "--ones", "2,6:bfloat16", "--threads", "2")
    assert answer.stderr == ""
    assert answer.stdout.splitlines() == [
        "ok",
        "tuple of 2",
        "  0: bfloat16 [2, 6]",
        "    1.0000 1.0000 1.0000 1.0000 1.0000 1.0000 1.0000 1.0000 ...",
        "  1: list of 2",
        "    0: int64 []",
        "      6",
        "    1: int64 []",
        "      1",
    ]


@pytest.mark.parametrize("engine", FLAT)
def test_a_graph_by_hand(engine: str, tmp_path: Path) -> None:
    model = two_in_two_out(tmp_path / "m.onnx")
    answer = by_hand(built(engine), model, "--ones", "1,3", "--ones", ":int64")
    assert answer.stderr == ""
    expected = ["ok", "dict of 2", "  second: int64 []", "    1", "  first: float32 [1, 3]", "    1.0000 1.0000 1.0000"]
    assert answer.stdout.splitlines() == expected
    inputs = write_inputs(tmp_path / "in", {"b": torch.tensor(-7), "a": torch.tensor([[0.5, 1e-9, torch.inf]])})
    answer = by_hand(built(engine), model, "--inputs", inputs)
    assert answer.stderr == ""
    assert answer.stdout.splitlines()[3:] == ["    -7", "  first: float32 [1, 3]", "    0.5000 1.0000e-09 inf"]
    answer = by_hand(built(engine), model, "--ones", "1,3")
    assert answer.returncode == 1
    assert "the model takes 2 inputs (a, b), 1 were given" in answer.stderr


def test_inputs_from_a_file_are_in_natural_order(tmp_path: Path) -> None:
    class Last(torch.nn.Module):
        def forward(self, *args: torch.Tensor) -> torch.Tensor:
            return args[10]

    inputs = [torch.full((1,), float(i)) for i in range(11)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        jit.trace(Last(), tuple(inputs)).save(str(tmp_path / "m.pt"))
    file = write_inputs(tmp_path / "in", {f"/args/{i}": value for i, value in enumerate(inputs)})
    answer = by_hand(built("libtorch"), tmp_path / "m.pt", "--inputs", file)
    assert answer.stdout.splitlines() == ["ok", "float32 [1]", "  10.0000"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give a model's file, or --worker; see --help"),
        (["m.onnx", "--worker"], "give a model's file, or --worker; see --help"),
        (["m.onnx", "--ones"], "--ones takes a value"),
        (["m.onnx", "--ones", "1,-3"], "'1,-3' isn't a shape like 1,3,224,224 or 1,16:int64"),
        (["m.onnx", "--ones", "1,"], "'1,' isn't a shape like 1,3,224,224 or 1,16:int64"),
        (["m.onnx", "--ones", "1:int9"], "no dtype is called 'int9'"),
        (["m.onnx", "--threads", "0"], "--threads takes a number from 1, not '0'"),
        (["m.onnx", "--fast"], "unknown argument '--fast'; see --help"),
        (["m.onnx", "--device", "tpu"], "ort-cpp runs on the device cpu, not tpu"),
    ],
)
def test_a_wrong_command_line_is_explained(words: list[str], message: str) -> None:
    answer = by_hand(built("ort"), *words)
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert message in answer.stderr


def test_help_names_the_options() -> None:
    answer = by_hand(built("ort"), "--help")
    assert answer.returncode == 0
    assert "usage: modelconform-ort MODEL [--ones SHAPE[:DTYPE]]" in answer.stdout
