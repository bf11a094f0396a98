"""Several threads at once in the C++ harness: what isn't safe is found, and the real engines return the same bits."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper
from onnx import helper as graphs

from pytest_modelconform.building import harness
from pytest_modelconform.building.harness import Engine
from tests.building.talking import CACHE, Worker, read_outputs, script, write_inputs

pytestmark = [
    pytest.mark.compiles,
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning", "ignore:.*torch.jit.*:FutureWarning"),
]

ECHO = Engine("echo")
COUNTS = [1, 2, 8]


def echo_worker(folder: Path) -> Worker:
    """The harness of the engine that only returns what it is given."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(harness, "ENGINES", {**harness.ENGINES, "echo": ECHO})
        path = harness.executable("echo", CACHE, lambda line: print(line, file=sys.stderr))
    return Worker(path, folder)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Worker]]:
    """Start the harness of an engine."""
    workers: list[Worker] = []

    def started(engine: str) -> Worker:
        if engine == "echo":
            workers.append(echo_worker(tmp_path))
        else:
            path = harness.executable(engine, CACHE, lambda line: print(line, file=sys.stderr))
            workers.append(Worker(path, tmp_path))
        return workers[-1]

    yield started
    for worker in workers:
        worker.process.kill()
        worker.process.communicate()


def concurrent(
    worker: Worker,
    calls: list[torch.Tensor],
    threads: list[int],
    clones: list[int],
    flat: bool = False,
    repeats: int = 2,
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The answer to `concurrent`, a call for each tensor, and the tensors of the results that differ."""
    requests: list[dict[str, Any]] = []
    for i, value in enumerate(calls):
        file = write_inputs(worker.folder / f"in-{i}.safetensors", {"x": value})
        how = {"feeds": [["x", "x"]], "fetches": ["y"]} if flat else {"args": [{"tensor": "x"}], "kwargs": []}
        requests.append({"inputs": str(file), **how})
    outputs = worker.folder / "out.safetensors"
    answer = worker.get(
        "concurrent", outputs=str(outputs), threads=threads, clones=clones, repeats=repeats, calls=requests
    )
    return answer, read_outputs(outputs)


def echo(start: Callable[[str], Worker], folder: Path, *faults: str) -> Worker:
    worker = start("echo")
    model = folder / "model.txt"
    model.write_text(" ".join(faults))
    worker.get("load", model=str(model))
    return worker


def trial(answer: dict[str, Any], instance: str, threads: int) -> dict[str, Any]:
    [found] = [t for t in answer["trials"] if (t["instance"], t["threads"]) == (instance, threads)]
    assert isinstance(found, dict)
    return found


TWO = [torch.zeros(3), torch.ones(3)]


def test_what_is_safe_differs_nowhere(start: Callable[[str], Worker], tmp_path: Path) -> None:
    worker = echo(start, tmp_path)
    assert worker.get("hello", protocol=1)["concurrent"] is True
    answer, found = concurrent(worker, TWO, COUNTS, [1, 2])
    wanted = [("one", 1), ("one", 2), ("one", 8), ("clones", 1), ("clones", 2)]
    assert answer == {
        "clonable": True,
        "trials": [
            {"instance": instance, "threads": n, "results": 2 * n, "different": 0, "failed": 0}
            for instance, n in wanted
        ],
    }
    assert found == {}
    assert worker.get("quit") == {}
    assert (
        "running from 8 threads at once on one instance\nrunning from 1 threads at once on clones" in worker.close()[1]
    )


@pytest.mark.parametrize(("fault", "on_clones"), [("shared", False), ("global", True)])
def test_what_threads_share_is_found(
    start: Callable[[str], Worker], tmp_path: Path, fault: str, on_clones: bool
) -> None:
    answer, found = concurrent(echo(start, tmp_path, fault), TWO, [1, 2], [2])
    assert trial(answer, "one", 1)["different"] == 0
    assert trial(answer, "one", 2)["different"] > 0
    assert (trial(answer, "clones", 2)["different"] > 0) == on_clones
    first = trial(answer, "one", 2)["deviations"][0]
    [[ours], [serial]] = [[found[leaf["tensor"]] for leaf in first[name]["tuple"]] for name in ("outputs", "serial")]
    assert torch.equal(serial, TWO[first["call"]])
    assert torch.equal(ours, TWO[1 - first["call"]])


def test_all_results_that_differ_are_given(start: Callable[[str], Worker], tmp_path: Path) -> None:
    worker = echo(start, tmp_path, "counts")
    answer, found = concurrent(worker, TWO, [1, 4], [])
    # Four serial calls; then two more, and eight.
    values: list[float] = []
    for given in answer["trials"]:
        assert len(given["deviations"]) == given["different"] == given["results"]
        for one in given["deviations"]:
            [[ours], [serial]] = [
                [found[leaf["tensor"]] for leaf in one[name]["tuple"]] for name in ("outputs", "serial")
            ]
            assert torch.equal(serial, TWO[one["call"]] + (1.0, 3.0)[one["call"]])
            values.append(float((ours - TWO[one["call"]])[0]))
    assert sorted(values) == list(range(5, 15))


def test_of_too_many_results_the_furthest_are_given(start: Callable[[str], Worker], tmp_path: Path) -> None:
    answer, found = concurrent(echo(start, tmp_path, "counts"), TWO[:1], [40], [], repeats=1)
    [given] = answer["trials"]
    assert given["different"] == 40
    values = [float(found[one["outputs"]["tuple"][0]["tensor"]][0]) for one in given["deviations"]]
    assert sorted(values) == list(range(26, 42))
    # Of too many bytes, too; one is always given.
    for elements, kept in ((3 * 2**20, 5), (2**25, 1)):
        answer, found = concurrent(echo(start, tmp_path, "counts"), [torch.zeros(elements)], [7], [], repeats=1)
        [given] = answer["trials"]
        values = [float(found[one["outputs"]["tuple"][0]["tensor"]][0]) for one in given["deviations"]]
        assert sorted(values) == list(range(9 - kept, 9))


def test_what_is_thrown_in_a_thread_is_an_answer(start: Callable[[str], Worker], tmp_path: Path) -> None:
    answer, _ = concurrent(echo(start, tmp_path, "throws"), TWO, [1, 2], [])
    assert trial(answer, "one", 1)["failed"] == 0
    failed = trial(answer, "one", 2)
    assert failed["failed"] > 0
    assert failed["failed"] + failed["results"] == 4
    assert failed["error"] == {"type": "RuntimeError", "message": "somebody else is in here", "details": ""}


def test_the_last_words_of_a_crash_say_what_ran(start: Callable[[str], Worker], tmp_path: Path) -> None:
    worker = echo(start, tmp_path, "aborts")
    file = write_inputs(tmp_path / "in.safetensors", {"x": TWO[0]})
    call = {"inputs": str(file), "args": [{"tensor": "x"}], "kwargs": []}
    assert worker.process.stdin is not None
    line = {
        "id": 9,
        "op": "concurrent",
        "outputs": str(tmp_path / "o"),
        "threads": [1, 2],
        "clones": [],
        "calls": [call],
    }
    worker.process.stdin.write(json.dumps(line).encode() + b"\n")
    worker.process.stdin.flush()
    status, stderr = worker.close()
    assert status < 0
    assert stderr.splitlines()[1] == "running from 2 threads at once on one instance"


def test_clones_that_are_not_to_be_had(start: Callable[[str], Worker], tmp_path: Path) -> None:
    answer, _ = concurrent(echo(start, tmp_path, "alone"), TWO, [2], [2])
    assert (answer["clonable"], len(answer["trials"])) == (False, 1)
    answer, _ = concurrent(echo(start, tmp_path, "broken"), TWO, [2], [2])
    assert (answer["clonable"], len(answer["trials"])) == (False, 1)
    assert answer["clone_error"]["message"] == "cannot be cloned"


def test_wrong_requests_are_refused(start: Callable[[str], Worker], tmp_path: Path) -> None:
    worker = start("echo")
    fields: dict[str, Any] = {"outputs": str(tmp_path / "o"), "threads": [2], "clones": [], "calls": []}
    assert worker.fail("concurrent", **fields) == "no model is loaded"
    worker = echo(start, tmp_path)
    assert worker.fail("concurrent", **fields) == "'calls' is empty"
    assert worker.fail("concurrent", **{**fields, "threads": [0]}) == "an item of 'threads' is a number from 1 to 256"
    assert worker.fail("concurrent", **{**fields, "clones": [1000]}) == "an item of 'clones' is a number from 1 to 256"
    assert worker.fail("concurrent", **{**fields, "threads": 2}) == "'threads' is a list, not a number"
    call = [{"inputs": str(write_inputs(tmp_path / "i", {"x": TWO[0]})), "args": [], "kwargs": []}]
    assert (
        worker.fail("concurrent", **{**fields, "calls": call, "repeats": 0}) == "'repeats' is a number from 1 to 1000"
    )


# ---- The real engines ------------------------------------------------------------------------------------------------


class Work(torch.nn.Module):
    """Enough of it that threads meet, by kernels that split their sums between threads if they can."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 3)
        self.lstm = torch.nn.LSTM(8, 16, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.conv(x)).flatten(2).transpose(1, 2)
        return self.lstm(y)[0].sum(1)


class Buffered(torch.nn.Module):
    """Right as long as nobody else calls it: what it keeps is overwritten before it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = torch.nn.Buffer(torch.zeros(200, 200))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.kept.copy_(x)
        y = x
        for _ in range(20):
            y = torch.mm(y, x) / 200.0
        return self.kept + y * 0.0


class Counter(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.count = torch.nn.Buffer(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count.add_(1)
        return x + self.count


def loaded(start: Callable[[str], Worker], module: torch.nn.Module, folder: Path) -> Worker:
    worker = start("libtorch")
    worker.get("load", model=script(module, folder / "m.pt"))
    return worker


def test_torchscript_returns_the_same_bits(start: Callable[[str], Worker], tmp_path: Path) -> None:
    torch.manual_seed(1)
    worker = loaded(start, Work(), tmp_path)
    answer, _ = concurrent(worker, [torch.rand(2, 3, 12, 12), torch.rand(1, 3, 12, 12)], COUNTS, COUNTS, repeats=3)
    assert answer["clonable"] is True
    assert [(t["threads"], t["different"], t["failed"]) for t in answer["trials"]] == [(n, 0, 0) for n in COUNTS * 2]


def test_a_module_that_counts_differs_and_its_clones_count_on_their_own(
    start: Callable[[str], Worker], tmp_path: Path
) -> None:
    """A clone is made of the state that the instance has come to."""
    answer, found = concurrent(loaded(start, Counter(), tmp_path), [torch.zeros(1)], [1], [1, 1], repeats=2)
    assert trial(answer, "one", 1)["different"] == 1
    values = [found[t["deviations"][0]["outputs"]["tensor"]].item() for t in answer["trials"]]
    # Serial: 1, 2. One instance: 3. The clone of it: 4, then 5.
    assert values == [3.0, 4.0, 5.0]


def test_a_buffer_that_threads_share_is_found_on_one_instance_and_fine_on_clones(
    start: Callable[[str], Worker], tmp_path: Path
) -> None:
    torch.manual_seed(1)
    answer, _ = concurrent(loaded(start, Buffered(), tmp_path), [torch.rand(200, 200), torch.rand(200, 200)], [8], [8])
    assert trial(answer, "one", 8)["different"] > 0
    assert trial(answer, "clones", 8)["different"] == 0


def products(path: Path) -> str:
    """A graph of four matrix products, each with a softmax."""
    names = ["x", "a", "b", "c", "y"]
    nodes = []
    for source, target in itertools.pairwise(names):
        nodes.append(graphs.make_node("MatMul", [source, "w"], [f"{target}w"]))
        nodes.append(graphs.make_node("Softmax", [f"{target}w"], [target]))
    info = [graphs.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 64]) for name in ("x", "y")]
    weight = numpy_helper.from_array(torch.randn(64, 64).numpy(), "w")
    graph = graphs.make_graph(nodes, "products", info[:1], info[1:], [weight])
    onnx.save(graphs.make_model(graph, opset_imports=[graphs.make_opsetid("", 21)], ir_version=10), path)
    return str(path)


@pytest.mark.parametrize("engine", ["ort", "openvino"])
def test_a_graph_returns_the_same_bits(engine: str, start: Callable[[str], Worker], tmp_path: Path) -> None:
    worker = start(engine)
    worker.get("load", model=products(tmp_path / "m.onnx"))
    answer, _ = concurrent(worker, [torch.rand(3, 64), torch.rand(200, 64)], COUNTS, COUNTS, flat=True)
    assert answer["clonable"] is True
    assert [(t["threads"], t["different"], t["failed"]) for t in answer["trials"]] == [(n, 0, 0) for n in COUNTS * 2]
