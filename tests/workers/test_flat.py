"""Workers that take arrays, under this Python with its numpy and under Python 3.8 with numpy 1.19."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from pytest_modelconform import environments
from pytest_modelconform.cells.worker import Worker, WorkerRefused
from pytest_modelconform.environments import Environment
from pytest_modelconform.runtimes.base import python_worker
from pytest_modelconform.workers import arrays
from tests.support import shared

OLD = Environment("numpy-1.19", ("numpy==1.19.5",), python="3.8", check="import numpy", megabytes=110)

WORKER = """\
from modelconform_workers import convert, flat

import numpy


def handlers(device, threads):
    def load(request):
        def model(feeds, fetches):
            found = {"double": feeds["x"] * 2, "turned": feeds["x"].T, "count": numpy.int64(len(feeds))}
            if request["model"] == "greedy":
                feeds["x"][...] = 0
            return [found[name] for name in fetches]

        return model

    def converted(source, signature, folder):
        return {**signature, "file": numpy.__version__}

    hello = {"name": "probe", "version": numpy.__version__, "devices": ["cpu"]}
    return {**convert.handlers("probe", "1", converted), **flat.handlers(hello, load)}
"""


@pytest.fixture(params=["this", pytest.param("3.8", marks=pytest.mark.installs)])
def worker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Worker]:
    python = sys.executable
    if request.param == "3.8":
        python = str(shared.installed(OLD) / "venv" / "bin" / "python")
    file = tmp_path / "probe_worker.py"
    file.write_text(WORKER)
    worker = Worker("probe", python_worker(file, "cpu", 1, python), environments.surroundings())
    worker.hello(60)
    yield worker
    worker.close(kill=True)


def run(worker: Worker, folder: Path, x: Any, fetches: list[str], repeats: int = 2) -> dict[str, Any]:
    arrays.write(folder / "in", {"/args/0": x})
    files = {"inputs": str(folder / "in"), "outputs": str(folder / "out")}
    return worker.ask("run", 30, repeats=repeats, feeds=[["x", "/args/0"]], fetches=fetches, **files)


def test_arrays_go_there_and_back(worker: Worker, tmp_path: Path) -> None:
    worker.ask("load", 30, model="plain", format="onnx")
    for dtype in ("float32", "float16", "float64", "int64", "int32", "uint8", "complex64"):
        x = np.arange(6).reshape(2, 3).astype(dtype)
        answer = run(worker, tmp_path, x, ["turned", "double", "count"])
        found = arrays.read(tmp_path / "out")
        assert found["0/double"].dtype == x.dtype
        np.testing.assert_array_equal(found["0/double"], x * 2)
        np.testing.assert_array_equal(found["0/turned"], x.T)
        assert found["0/count"].shape == ()
        assert found["0/count"] == 1
        assert answer["runs"][1]["same_as"] == 0
        assert answer["inputs_changed"] == []


def test_a_changed_input_is_seen(worker: Worker, tmp_path: Path) -> None:
    worker.ask("load", 30, model="greedy", format="onnx")
    answer = run(worker, tmp_path, np.ones((2, 2), np.float32), ["double"])
    assert answer["inputs_changed"] == ["/args/0"]


def test_what_numpy_has_no_dtype_for(worker: Worker, tmp_path: Path) -> None:
    worker.ask("load", 30, model="plain", format="onnx")
    x = np.arange(6).reshape(2, 3).astype(ml_dtypes.bfloat16)
    if worker.info["version"] == "1.19.5":
        with pytest.raises(WorkerRefused, match="numpy has no bfloat16 by itself, and this environment has no ml_dty"):
            run(worker, tmp_path, x, ["double"])
    else:
        run(worker, tmp_path, x, ["double"])
        np.testing.assert_array_equal(arrays.read(tmp_path / "out")["0/double"], x * 2)


def test_a_converter_answers(worker: Worker) -> None:
    answer = worker.ask("convert", 30, source="a", folder="b", signature={"layout": "flat", "outputs": ["y"]})
    assert answer["signature"] == {"layout": "flat", "outputs": ["y"], "file": worker.info["version"]}
