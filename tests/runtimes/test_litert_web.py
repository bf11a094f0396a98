"""LiteRT.js in a Chromium's page."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pytest_modelconform.workers import arrays
from tests.support import javascript, shared

pytestmark = pytest.mark.installs

# Converted in a process of its own: the converter's import changes JAX for a whole process.
CONVERT = """\
import sys

import litert_torch
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.arange(12.0).reshape(3, 4) / 7)

    def forward(self, x, n):
        y = x @ self.weight
        return y, y.argmax(-1), n * 2


model = Net().eval()
litert_torch.convert(model, (torch.rand(2, 3), torch.arange(4))).export(sys.argv[1])
"""
WEIGHT = np.arange(12, dtype="float32").reshape(3, 4) / np.float32(7)
Array = npt.NDArray[Any]


@pytest.fixture
def model(session_folder: Path) -> Path:
    """y = x @ weight, where it is largest, and the doubled integers; those are 32 bits long."""

    def convert(folder: Path) -> None:
        subprocess.run([sys.executable, "-c", CONVERT, str(folder / "net.tflite")], check=True, capture_output=True)

    return shared.made(session_folder, "litert-web", convert) / "net.tflite"


@pytest.fixture(scope="module", params=[1, 2])
def worker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[javascript.Worker]:
    command = javascript.command("litert_web.mjs", threads=request.param)
    worker = javascript.Worker(command, tmp_path_factory.mktemp("litert-web"))
    try:
        hello = worker.get("hello", protocol=1)
        assert (hello["name"], hello["language"], hello["layout"]) == ("litert-web", "JavaScript", "flat")
        assert hello["version"].startswith("2.")
        assert "(Chromium " in hello["version"]
        yield worker
    finally:
        worker.end()


def run(worker: javascript.Worker, folder: Path, x: Array, n: Array, name: str = "output_0") -> dict[str, Any]:
    arrays.write(folder / "in", {"x": x, "n": n})
    return worker.ask(
        "run",
        inputs=str(folder / "in"),
        outputs=str(folder / "out"),
        feeds=[["args_0", "x"], ["args_1", "n"]],
        fetches=[name, "output_1", "output_2"],
        repeats=2,
    )


def test_what_it_computes(worker: javascript.Worker, model: Path, tmp_path: Path) -> None:
    worker.get("load", model=str(model))
    for seed in range(3):  # tensors are freed, and the next call has its own
        x = np.random.default_rng(seed).standard_normal((2, 3), dtype="float32")
        answer = run(worker, tmp_path, x, np.array([seed, 2**30 - 1, -(2**30), 0]))
        assert answer["ok"], answer
        assert answer["runs"][1]["same_as"] == 0
        assert answer["inputs_changed"] == []
        found = arrays.read(tmp_path / "out")
        y, best, doubled = (found[f"0/output_{i}"] for i in range(3))
        assert (y.dtype.name, best.dtype.name, doubled.dtype.name) == ("float32", "int32", "int32")
        assert np.abs(y - x.astype("float64") @ WEIGHT).max() < 1e-5
        assert best.tolist() == y.argmax(-1).tolist()
        assert doubled.tolist() == [2 * seed, 2**31 - 2, -(2**31), 0]
    worker.get("unload")
    assert run(worker, tmp_path, x, np.arange(4))["error"]["message"] == "run without a loaded model"


def test_what_it_refuses_and_lives_on(worker: javascript.Worker, model: Path, tmp_path: Path) -> None:
    (tmp_path / "nonsense").write_bytes(b"nonsense")
    for name in ("nonsense", "nowhere"):
        refused = worker.ask("load", model=str(tmp_path / name))
        assert not refused["ok"]
        assert refused["error"]["message"]
    worker.get("load", model=str(model))
    x, n = np.ones((2, 3), "float32"), np.arange(4)
    for given, says in (
        ((x[:1], n), "input args_0 has the shape [1,3], the model takes [2,3]"),
        ((x[0], n), "input args_0 has the shape [3], the model takes [2,3]"),
        ((x.astype("float64"), n), "input args_0 is float64, the model takes float32; LiteRT.js has float32, int32,"),
        ((x, n + 2**31), "input args_1 has integers that 32 bits don't hold, and the model takes int32"),
        ((x, n.astype("uint8")), "input args_1 is uint8, the model takes int32; LiteRT.js has float32, int32, uint8"),
        ((x, n, "output_9"), "LiteRT returned no output output_9, but output_0,output_1,output_2"),
    ):
        answer = run(worker, tmp_path, *given)
        assert not answer["ok"]
        assert says in answer["error"]["message"]
    assert run(worker, tmp_path, x, n)["ok"]
