"""The runtimes that read ONNX, or what is made from it: the numbers are the model's, in every shape, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_modelconform.runtimes.process import Worker, WorkerRefused
from tests import small_onnx
from tests.small_onnx import Small

RUNTIMES = ("onnx-reference", "tract", "opencv", "tinygrad")
FORMATS = ("mnn", "iree", "tvm")
WEIGHT = np.arange(-5, 7, dtype=np.float32).reshape(4, 3) / 8
X = np.array([[1, 2, -3, 4], [0.5, -0.25, 8, 1]], np.float32)
INDEX = np.array([3, -70000])


def judge(worker: Worker, small: Small, signature: dict[str, Any], runtime: str, folder: Path) -> None:
    """Two batches in turn: a runtime that keeps a length, or hands out its own buffer, shows."""
    narrows = small_onnx.registry().runtime(runtime).NARROWS
    for x, index in ((X, INDEX), (np.concatenate([X, -X[:1]]), np.array([0, 9, 41])), (X, INDEX)):
        scaled, following = small_onnx.outputs(worker, signature, {"/args/0": x, "/args/1": index}, folder)
        expected = small.expected(x, index)
        assert scaled.dtype == np.float32
        np.testing.assert_allclose(scaled, expected[0], rtol=1e-6, atol=1e-7)
        assert following.dtype.name == narrows.get("int64", "int64")
        assert following.tolist() == expected[1].tolist()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_onnx(runtime: str, tmp_path: Path) -> None:
    module = small_onnx.registry().runtime(runtime)
    if reason := module.unavailable("cpu"):
        pytest.skip(f"{runtime} {reason}")
    assert (module.MAIN, tuple(module.FORMATS)) == (False, ("onnx", "onnx-legacy", "onnx-decomposed"))
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


@pytest.mark.parametrize("name", FORMATS)
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
