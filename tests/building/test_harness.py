"""The C++ harness: real builds, real engines, spoken to over the wire."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import onnx
import pytest
import torch
from onnx import TensorProto
from onnx import helper as graphs
from safetensors import safe_open
from safetensors.torch import save_file

from pytest_modelconform.building import harness, ort_headers, tools
from pytest_modelconform.cache.made_once import BuildError
from pytest_modelconform.cache.store import default_folder

# torch.jit is deprecated, and what the harness loads.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning", "ignore:.*torch.jit.*:FutureWarning")

jit: Any = torch.jit  # which has no annotations
ENGINES = tuple(harness.ENGINES)
# The user's own, so that a harness is built once and not once a test run; conftest.py gives each test another.
CACHE = default_folder()
DTYPES = {
    "bool": torch.bool,
    "uint8": torch.uint8,
    "int8": torch.int8,
    "uint16": torch.uint16,
    "int16": torch.int16,
    "uint32": torch.uint32,
    "int32": torch.int32,
    "uint64": torch.uint64,
    "int64": torch.int64,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "float64": torch.float64,
    "complex64": torch.complex64,
    "complex128": torch.complex128,
    "float8_e4m3fn": torch.float8_e4m3fn,
    "float8_e5m2": torch.float8_e5m2,
}
# By what other name and type safetensors stores them, see "Tensor files" in docs/architecture.md.
AS_BYTES = ("float8_e4m3fn", "float8_e5m2")
AS_PAIRS = ("complex64", "complex128")


def tensor(dtype: str, *shape: int) -> torch.Tensor:
    """Different bytes in each element, the same ones each time; for floats, no NaN."""
    count = torch.Size(shape).numel()
    values = (torch.arange(count) % 7 + 1).reshape(shape)
    if dtype in AS_PAIRS:
        return torch.complex(values.double(), -values.double() / 4).to(DTYPES[dtype])
    return (values % 2 if dtype == "bool" else values).to(DTYPES[dtype])


def bytes_of(value: torch.Tensor) -> bytes:
    return bytes(value.contiguous().reshape(-1).view(torch.uint8).tolist()) if value.numel() else b""


# ---- Talking to a harness --------------------------------------------------------------------------------------------


def write_inputs(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    """With the real safetensors package, and the metadata that the wire adds to it."""
    stored: dict[str, torch.Tensor] = {}
    extras: dict[str, dict[str, object]] = {}
    names = {value: name for name, value in DTYPES.items()}
    for key, value in tensors.items():
        extra: dict[str, object] = {}
        plain = value.contiguous()
        if names[value.dtype] in AS_PAIRS:
            plain = torch.view_as_real(plain)
        if names[value.dtype] in AS_BYTES:
            plain = plain.view(torch.uint8)
        if plain.dtype != value.dtype:
            extra["dtype"] = names[value.dtype]
        if not value.is_contiguous():
            extra["order"] = sorted(range(value.dim()), key=lambda i, v=value: -v.stride(i))  # type: ignore[misc]
        if extra:
            extras[key] = extra
        stored[key] = plain.contiguous()
    save_file(stored, path, metadata={"modelconform": json.dumps(extras)})
    return path


def read_outputs(path: Path) -> dict[str, torch.Tensor]:
    result = {}
    with safe_open(path, framework="pt") as file:
        extras = json.loads((file.metadata() or {}).get("modelconform", "{}"))
        for key in file.keys():  # noqa: SIM118 (no mapping)
            value = file.get_tensor(key)
            dtype = extras.get(key, {}).get("dtype")
            if dtype in AS_PAIRS:
                value = torch.view_as_complex(value)
            elif dtype is not None:
                value = value.view(DTYPES[dtype])
            result[key] = value
    return result


class Worker:
    """A harness process, and one question and answer at a time."""

    def __init__(self, path: Path, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [path, "--worker", "--device", "cpu", "--threads", "1"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "MODELCONFORM_PARENT": str(os.getpid()), **environment},
        )
        self.sent = 0

    def say(self, line: bytes) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert isinstance(answer, dict)
        return answer

    def ask(self, op: str, **fields: object) -> dict[str, Any]:
        self.sent += 1
        answer = self.say(json.dumps({"id": self.sent, "op": op, **fields}).encode())
        assert answer.pop("id") == self.sent
        return answer

    def get(self, op: str, **fields: object) -> dict[str, Any]:
        """The answer to a request that has to succeed."""
        answer = self.ask(op, **fields)
        assert answer.pop("ok"), answer
        return answer

    def fail(self, op: str, **fields: object) -> str:
        """The message of a request that has to fail."""
        answer = self.ask(op, **fields)
        assert answer["ok"] is False
        assert set(answer["error"]) == {"type", "message", "details"}
        return str(answer["error"]["message"])

    def run(self, inputs: dict[str, torch.Tensor], **fields: object) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        outputs = self.folder / "out.safetensors"
        outputs.unlink(missing_ok=True)
        file = write_inputs(self.folder / "in.safetensors", inputs)
        answer = self.get("run", inputs=str(file), outputs=str(outputs), **{"repeats": 1, **fields})
        return answer, read_outputs(outputs)

    def close(self) -> tuple[int, str]:
        """The status and what was written to stderr."""
        _, stderr = self.process.communicate(timeout=60)
        return self.process.returncode, stderr.decode()


@pytest.fixture(scope="module")
def built() -> Callable[[str], Path]:
    """The harness of an engine."""

    def path(engine: str) -> Path:
        return harness.executable(engine, CACHE, lambda line: print(line, file=sys.stderr))

    return path


@pytest.fixture
def start(built: Callable[[str], Path], tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    workers: list[Worker] = []

    def start_one(engine: str, **environment: str) -> Worker:
        workers.append(Worker(built(engine), tmp_path, **environment))
        return workers[-1]

    yield start_one
    for worker in workers:
        worker.process.kill()
        worker.process.communicate()


@pytest.fixture
def libtorch(start: Callable[..., Worker]) -> Worker:
    return start("libtorch")


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


def script(module: torch.nn.Module, path: Path) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # each class that is scripted warns in its own way
        jit.script(module.eval()).save(str(path))
    return str(path)


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
    assert worker.close() == (0, "")


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_no_request_is_answered_and_the_worker_goes_on(engine: str, start: Callable[..., Worker]) -> None:
    worker = start(engine)
    assert worker.fail("hello", protocol=2) == "this worker speaks protocol 1, the request asks for 2"
    assert worker.fail("hello") == "the request has no 'protocol'"
    assert worker.fail("dance") == "unknown op 'dance'"
    assert worker.fail("load", model=3) == "'model' is a text, not a number"
    assert worker.fail("load", model="m", libraries="one") == "'libraries' is a list, not a string"
    for line, message in (
        (b"what?", "the line is no JSON object"),
        (b"[1]", "the line is no JSON object"),
        (b"\xff{}", "the line is no JSON object"),
        (b'{"op": "hello"}', "the request has no 'id'"),
        (b'{"id": "1", "op": "hello"}', "'id' is an integer, not a string"),
        (b'{"id": 1}', "the request has no 'op'"),
        (b"[" * 100_000, "the line is no JSON object"),
        (b"x" * (2**24 + 1), "a line is longer than 16777216 bytes"),
    ):
        answer = worker.say(line)
        assert answer["ok"] is False
        assert answer["error"]["message"] == message
    assert worker.get("hello", protocol=1)["protocol"] == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_a_model_that_cannot_be_loaded_is_an_answer(engine: str, start: Callable[..., Worker], tmp_path: Path) -> None:
    worker = start(engine)
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
def test_a_model_is_loaded_in_a_precision(engine: str, start: Callable[..., Worker], tmp_path: Path) -> None:
    worker = start(engine)
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


def test_the_end_of_input_ends_the_worker(libtorch: Worker) -> None:
    assert libtorch.get("hello", protocol=1)
    assert libtorch.close() == (0, "")


def test_a_worker_whose_parent_is_gone_ends(start: Callable[..., Worker]) -> None:
    status, stderr = start("ort", MODELCONFORM_PARENT="1").close()
    assert status == 1
    assert stderr == "the process 1 that started this worker has ended\n"


def test_a_worker_ends_with_the_watchdog_pipe(built: Callable[[str], Path]) -> None:
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
def test_a_worker_dies_with_its_parent(built: Callable[[str], Path], tmp_path: Path) -> None:
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


def test_what_a_model_raises_is_an_answer_and_what_it_prints_is_not(libtorch: Worker, tmp_path: Path) -> None:
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
    "no JSON": (tensor_file(b"{nonsense"), "its header is no JSON object"),
    "a list": (tensor_file([]), "its header is no JSON object"),
    "no entry": (tensor_file({"x": 1}), "tensor 'x' is no JSON object"),
    "no dtype": (tensor_file({"x": {"shape": [1], "data_offsets": [0, 4]}}, bytes(4)), "tensor 'x' has no dtype"),
    "unknown dtype": (tensor_file({"x": entry("F31")}, bytes(4)), "has the dtype F31, which this reader doesn't know"),
    "no shape": (tensor_file({"x": {"dtype": "F32", "data_offsets": [0, 4]}}, bytes(4)), "has no list 'shape'"),
    "negative": (tensor_file({"x": entry(shape=[-1])}, bytes(4)), "'shape' holds -1, which is no size"),
    "fraction": (tensor_file({"x": entry(shape=[1.0])}, bytes(4)), "'shape' holds 1.0, which is no size"),
    "beyond 63 bits": (tensor_file({"x": entry(shape=[2**63])}, bytes(4)), "'shape' holds 9223372036854775808"),
    "overflow": (tensor_file({"x": entry(shape=[2**62, 2**62])}, bytes(4)), "overflows"),
    "too few bytes": (tensor_file({"x": entry(shape=[2])}, bytes(4)), "needs 8 bytes, its 'data_offsets' give 4"),
    "truncated data": (tensor_file({"x": entry()}, bytes(3)), "is truncated: tensor 'x' ends at byte 4 of the data"),
    "backwards": (tensor_file({"x": entry(offsets=[4, 0])}, bytes(4)), "'data_offsets' is no [begin, end]"),
    "overlap": (
        tensor_file({"x": entry(shape=[2], offsets=[0, 8]), "y": entry(offsets=[4, 8])}, bytes(8)),
        "two of its tensors overlap at byte 4",
    ),
    "hole": (tensor_file({"x": entry(offsets=[4, 8])}, bytes(8)), "bytes 0 to 4 of its data belong to no tensor"),
    "surplus": (tensor_file({"x": entry()}, bytes(8)), "the last 4 bytes of its data belong to no tensor"),
    "metadata": (tensor_file({"__metadata__": 1}), "its __metadata__ is no JSON object"),
    "extras": (with_extras("nonsense"), "its metadata 'modelconform' is no JSON object"),
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
def test_a_malformed_tensor_file_is_refused(name: str, start: Callable[..., Worker], tmp_path: Path) -> None:
    content, message = MALFORMED[name]
    (tmp_path / "in").write_bytes(content)
    worker = start("ort")
    request = {"inputs": str(tmp_path / "in"), "outputs": str(tmp_path / "out"), "feeds": [], "fetches": []}
    answer = worker.ask("run", **request)
    assert answer["error"]["type"] == "TensorFileError"
    assert answer["error"]["message"].startswith(f"tensor file {tmp_path / 'in'}: ")
    assert message in answer["error"]["message"]
    assert worker.get("hello", protocol=1)


def test_a_tensor_file_that_cannot_be_read_or_written(start: Callable[..., Worker], tmp_path: Path) -> None:
    worker = start("ort")
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
def test_graphs_are_fed_and_fetched_by_name(engine: str, start: Callable[..., Worker], tmp_path: Path) -> None:
    worker = start(engine)
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
def test_wrong_feeds_are_answers(engine: str, start: Callable[..., Worker], tmp_path: Path) -> None:
    worker = start(engine)
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
def test_every_dtype_of_a_graph_survives(engine: str, dtype: str, start: Callable[..., Worker], tmp_path: Path) -> None:
    worker = start(engine)
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


def test_sequences_come_out_as_lists(start: Callable[..., Worker], tmp_path: Path) -> None:
    graph = graphs.make_graph(
        [graphs.make_node("SequenceConstruct", ["x", "x"], ["y"])],
        "sequence",
        [graphs.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [graphs.make_tensor_sequence_value_info("y", TensorProto.FLOAT, [2])],
    )
    onnx.save(graphs.make_model(graph, opset_imports=[graphs.make_opsetid("", 17)], ir_version=10), tmp_path / "m.onnx")
    worker = start("ort")
    worker.get("load", model=str(tmp_path / "m.onnx"))
    answer, outputs = worker.run({"v": torch.ones(2)}, feeds=[["x", "v"]], fetches=["y"])
    expected = {"dict": [["y", {"list": [{"tensor": "0/y/0"}, {"tensor": "0/y/1"}]}]]}
    assert answer["runs"][0]["outputs"] == expected
    assert outputs["0/y/1"].tolist() == [1, 1]


# ---- By hand ---------------------------------------------------------------------------------------------------------


def by_hand(path: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = [str(path), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_torchscript_module_by_hand(built: Callable[[str], Path], tmp_path: Path) -> None:
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
def test_a_graph_by_hand(engine: str, built: Callable[[str], Path], tmp_path: Path) -> None:
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


def test_inputs_from_a_file_are_in_natural_order(built: Callable[[str], Path], tmp_path: Path) -> None:
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
        (["m.onnx", "--ones", "1,-3"], "'1,-3' is no shape such as 1,3,224,224 or 1,16:int64"),
        (["m.onnx", "--ones", "1,"], "'1,' is no shape such as 1,3,224,224 or 1,16:int64"),
        (["m.onnx", "--ones", "1:int9"], "no dtype is called 'int9'"),
        (["m.onnx", "--threads", "0"], "--threads takes a number from 1, not '0'"),
        (["m.onnx", "--fast"], "unknown argument '--fast'; see --help"),
        (["m.onnx", "--device", "tpu"], "ort-cpp runs on the device cpu, not tpu"),
    ],
)
def test_a_wrong_command_line_is_explained(words: list[str], message: str, built: Callable[[str], Path]) -> None:
    answer = by_hand(built("ort"), *words)
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert message in answer.stderr


def test_help_names_the_options(built: Callable[[str], Path]) -> None:
    answer = by_hand(built("ort"), "--help")
    assert answer.returncode == 0
    assert "usage: modelconform-ort MODEL [--ones SHAPE[:DTYPE]]" in answer.stdout


# ---- Building --------------------------------------------------------------------------------------------------------

# A stand-in for the sources, with which a whole build takes a second or two.
SMALL_CMAKE = """
cmake_minimum_required(VERSION 3.22)
project(small LANGUAGES CXX)
add_executable(modelconform-${ENGINE} main.cpp)
"""


def small_sources(folder: Path, main: str = "int main() { return 0; }") -> Path:
    folder.mkdir()
    (folder / "CMakeLists.txt").write_text(SMALL_CMAKE)
    (folder / "main.cpp").write_text(main)
    return folder


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = small_sources(tmp_path / "cpp")
    monkeypatch.setattr(tools, "sources", lambda: folder)
    return folder


def test_a_build_error_is_shown_as_the_compiler_said_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "cpp"
    shutil.copytree(tools.sources(), broken)
    engine = broken / "engines" / "openvino.cpp"
    engine.write_text("#error broken on purpose\n" + engine.read_text())
    monkeypatch.setattr(tools, "sources", lambda: broken)
    lines: list[str] = []
    with pytest.raises(BuildError) as caught:
        harness.executable("openvino", tmp_path / "cache", lines.append)
    message = str(caught.value)
    assert message.startswith("building the openvino harness failed: ninja ended with status 1\n")
    assert "engines/openvino.cpp:1:2: error:" in message
    assert "broken on purpose" in message
    log = Path(message.rpartition("full log: ")[2])
    assert log.read_text().startswith("$ ")
    assert lines == ["building the openvino harness (about 30 s, once) …"]
    # The next cell that wants it doesn't wait for the same failure again.
    with pytest.raises(BuildError, match="broken on purpose"):
        harness.executable("openvino", tmp_path / "cache", lines.append)
    assert len(lines) == 1


def test_a_long_build_error_is_cut_to_its_end(small: Path, tmp_path: Path) -> None:
    (small / "main.cpp").write_text("".join(f"#warning line {i}\n" for i in range(200)) + "#error the end\n")
    with pytest.raises(BuildError, match=r"\(the last 60 of \d+ lines\)\n(.*\n)*.*#error the end") as caught:
        harness.executable("libtorch", tmp_path / "cache", lambda line: None)
    assert len(str(caught.value).splitlines()) == 63


def test_a_harness_that_does_not_start_is_a_build_error(small: Path, tmp_path: Path) -> None:
    (small / "main.cpp").write_text("#include <csignal>\nint main() { raise(SIGKILL); }")
    with pytest.raises(BuildError, match="modelconform-libtorch was ended by signal 9"):
        harness.executable("libtorch", tmp_path / "cache", lambda line: None)


def test_a_build_is_used_again_until_its_sources_change(small: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    first = harness.executable("libtorch", tmp_path / "cache", lines.append)
    assert harness.executable("libtorch", tmp_path / "cache", lines.append) == first
    assert lines == ["building the libtorch harness (about 30 s, once) …"]
    assert [path.name for path in first.parent.iterdir()] == ["modelconform-libtorch"]
    (small / "main.cpp").write_text("int main() { return 0; } // changed")
    assert harness.executable("libtorch", tmp_path / "cache", lines.append) != first
    assert len(lines) == 2
    assert harness.executable("openvino", tmp_path / "cache", lines.append).name == "modelconform-openvino"


def test_a_half_made_build_is_made_anew(small: Path, tmp_path: Path) -> None:
    built = harness.executable("libtorch", tmp_path / "cache", lambda line: None)
    built.unlink()
    (built.parent.with_name(f"{built.parent.name}.building") / "work").mkdir(parents=True)
    assert harness.executable("libtorch", tmp_path / "cache", lambda line: None) == built
    assert by_hand(built).returncode == 0
    assert not list((tmp_path / "cache" / "harness").glob("*.building"))


def test_processes_that_start_at_once_build_once(tmp_path: Path) -> None:
    sources = small_sources(tmp_path / "cpp")
    script = (
        "from pathlib import Path\n"
        "from pytest_modelconform.building import harness\n"
        f"harness.tools.sources = lambda: Path({str(sources)!r})\n"
        f"print(harness.executable('libtorch', Path({str(tmp_path / 'cache')!r}), print))\n"
    )
    command = [sys.executable, "-c", script]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    printed = [process.communicate(timeout=120)[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len({lines[-1] for lines in printed}) == 1
    assert [line for lines in printed for line in lines].count(
        "building the libtorch harness (about 30 s, once) …"
    ) == 1


def test_an_interrupt_ends_the_compilers(small: Path, tmp_path: Path) -> None:
    # A "compiler" that never ends, and says where it is.
    compiler = tmp_path / "c++"
    compiler.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exit\necho $$ >> {tmp_path}/pids\nsleep 60\n')
    compiler.chmod(0o755)

    def interrupt() -> None:
        deadline = time.monotonic() + 30
        while not (tmp_path / "pids").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        ident = threading.main_thread().ident
        assert ident is not None
        signal.pthread_kill(ident, signal.SIGINT)  # as Ctrl-C does: it reaches a system call that waits

    watcher = threading.Thread(target=interrupt)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXX", str(compiler))
        watcher.start()
        with pytest.raises(KeyboardInterrupt):
            harness.executable("libtorch", tmp_path / "cache", lambda line: None)
    watcher.join()
    for pid in (tmp_path / "pids").read_text().split():
        status = Path("/proc", pid, "status")
        deadline = time.monotonic() + 10
        while status.exists() and "zombie" not in status.read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not status.exists() or "zombie" in status.read_text()


def test_what_is_missing_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert [harness.unavailable(engine) for engine in ENGINES] == [None] * len(ENGINES)
    assert (
        harness.unavailable("caffe") == "no C++ engine is called 'caffe'; there are libtorch, frontend, ort, openvino"
    )
    with monkeypatch.context() as patch:
        patch.setattr(tools, "installed", lambda name: name != "onnxruntime")
        sentence = "the ort harness needs onnxruntime: pip install onnxruntime"
        assert harness.unavailable("ort") == sentence
        assert harness.unavailable("libtorch") is None
        with pytest.raises(BuildError, match=sentence):
            harness.executable("ort", tmp_path, lambda line: None)
    with monkeypatch.context() as patch:
        patch.setenv("CXX", "no-such-compiler")
        sentence = harness.unavailable("libtorch") or ""
        assert sentence.startswith(
            "the libtorch harness needs a C++20 compiler ($CXX, no-such-compiler, isn't found): "
        )
        assert "install" in sentence
    with monkeypatch.context() as patch:
        patch.setenv("ONNXRUNTIME_ROOT", str(tmp_path))
        assert f"ONNXRUNTIME_ROOT is {tmp_path}, which has no onnxruntime_cxx_api.h" in (
            harness.unavailable("ort") or ""
        )


def test_finding_engines_imports_none_of_them() -> None:
    script = (
        "import sys\n"
        "from pytest_modelconform.building import harness\n"
        "for engine in harness.ENGINES: harness.unavailable(engine)\n"
        "harness.torchvision_libraries()\n"
        "engines = ('torch', 'torchvision', 'onnxruntime', 'openvino', 'numpy')\n"
        "print([name for name in engines if name in sys.modules])\n"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"


def test_the_entry_point_becomes_the_harness(built: Callable[[str], Path]) -> None:
    built("ort")
    script = (
        "import sys; from pytest_modelconform.building import harness; sys.argv = ['x', '--help']; harness.main_ort()"
    )
    environment = {**os.environ, "MODELCONFORM_CACHE": str(CACHE)}
    command = [sys.executable, "-c", script]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert answer.stdout.startswith("usage: modelconform-ort ")


# ---- ONNX Runtime's headers ------------------------------------------------------------------------------------------


def headers(folder: Path, api: int) -> Path:
    folder.mkdir(parents=True)
    (folder / "onnxruntime_cxx_api.h").touch()
    (folder / "onnxruntime_c_api.h").write_text(f"#define ORT_API_VERSION {api}\n")
    return folder


def test_headers_are_taken_from_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = headers(tmp_path / "root" / "include", 20)
    monkeypatch.setenv("ONNXRUNTIME_ROOT", str(tmp_path / "root"))
    assert ort_headers.obstacle() is None
    assert ort_headers.find("1.20.1", tmp_path, lambda line: None) == own


def test_headers_newer_than_the_library_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    headers(tmp_path / "root" / "include", 33)
    monkeypatch.setenv("ONNXRUNTIME_ROOT", str(tmp_path / "root"))
    fetched = headers(tmp_path / "onnxruntime-headers-1.32.0", 21)
    assert ort_headers.find("1.32.0", tmp_path, lambda line: None) == fetched


def test_headers_that_cannot_be_had_say_what_was_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(version: str, scratch: Path) -> Path:
        """A place that has none:"""
        raise LookupError("it is closed.")

    monkeypatch.setattr(ort_headers, "_on_this_machine", lambda: iter(()))
    monkeypatch.setattr(ort_headers, "_from_debian", refuse)
    monkeypatch.setattr(ort_headers, "_from_release", refuse)
    with pytest.raises(LookupError, match=r"set ONNXRUNTIME_ROOT to .*\nA place that has none: it is closed"):
        ort_headers.find("1.32.0", tmp_path, lambda line: None)
    with pytest.raises(BuildError, match="the ort harness can't be built: ONNX Runtime's C\\+\\+ headers are not"):
        harness.executable("ort", tmp_path, lambda line: None)


DEB822 = """\
# a comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
"""
ONE_LINE = """\
deb [signed-by=/k.gpg arch=amd64] http://mirror.example/debian bookworm main contrib
deb http://mirror.example/debian-security bookworm-security main
deb-src http://mirror.example/debian bookworm main
"""


def test_the_machines_own_mirror_is_asked_for_the_suite_with_the_headers(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "debian.sources").write_text(DEB822)
    (tmp_path / "sources.list.d" / "off.list.disabled").write_text(ONE_LINE)
    (tmp_path / "sources.list").write_text(ONE_LINE)
    sources = ort_headers._sources_of_suite(tmp_path, "bookworm")
    assert set(sources) == {"sources.list", "debian.sources"}
    assert sources["sources.list"] == (
        "deb [signed-by=/k.gpg arch=amd64] http://mirror.example/debian trixie main contrib\n"
    )
    assert sources["debian.sources"].splitlines() == [
        "# a comment",
        "Types: deb",
        "URIs: http://mirror.example/debian",
        "Suites: trixie",
        "Components: main",
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg",
    ]
