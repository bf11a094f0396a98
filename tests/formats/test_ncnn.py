"""Format and runtime `ncnn`: a trace, converted by pnnx, with its batches and in float32."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_modelconform.cells.worker import WorkerRefused
from pytest_modelconform.formats import ncnn
from pytest_modelconform.formats.base import ExportMismatch
from pytest_modelconform.workers import arrays
from pytest_modelconform.workers.host import host as host_module
from pytest_modelconform.workers.loop import WorkerError
from tests.support import small_onnx

CASE = """\
import torch

from pytest_modelconform import Case, generic_weights


class Net(torch.nn.Module):
    def __init__(self, scale=1.0):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.linear = torch.nn.Linear(8, 5)
        self.scale = scale

    def forward(self, x):
        y = torch.relu(self.conv(x)) * self.scale
        return self.linear(y.mean((2, 3))), y


class Unknown(torch.nn.Module):
    def forward(self, x):
        return torch.linalg.inv(x)


inputs = {"two": lambda: (torch.rand(2, 3, 6, 6),), "three_wider": lambda: (torch.rand(3, 3, 6, 9),)}
shapes = {"x": {0: "batch", 3: "width"}}
net = Case(model=lambda: generic_weights(Net()), inputs=inputs, dynamic_shapes=shapes)
scaled = Case(model=lambda: generic_weights(Net(1.01)), inputs=inputs, dynamic_shapes=shapes)
unknown = Case(model=lambda: Unknown(), inputs={"one": lambda: (torch.rand(1, 4, 4) + torch.eye(4),)})
mask = Case(model=lambda: Unknown(), inputs={"one": lambda: (torch.rand(4, 4) > 0.5,)}, fixed_inputs='a mask')
"""


def built(tmp_path: Path, case: str) -> tuple[host_module.Host, dict[str, Any]]:
    path = tmp_path / f"ncnn_{case}.py"
    path.write_text(CASE)
    return host_module.Host(), {"file": str(path), "relative": path.name, "case": case}


def exported(tmp_path: Path, case: str) -> tuple[Path, dict[str, Any]]:
    """A case's artifact and signature; inputs and eager's outputs are in the folder above it."""
    host, where = built(tmp_path, case)
    folder = tmp_path / case / "artifact"
    folder.mkdir(parents=True)
    content = host.reference({**where, "folder": str(folder.parent)})
    wanted = {"digest": content["digest"], "output_paths": content["output_paths"]}
    host.export({**where, **wanted, "module": "pytest_modelconform.formats.ncnn", "folder": str(folder)})
    return folder, json.loads((folder / "signature.json").read_text())


@pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated")
def test_the_numbers_are_the_models(tmp_path: Path) -> None:
    runtime = small_onnx.registry().runtime("ncnn")
    folder, signature = exported(tmp_path, "net")
    first = signature
    assert sorted(path.name for path in folder.iterdir()) == ["model.ncnn.bin", "model.ncnn.param", "signature.json"]
    assert signature["inputs"] == [
        {
            "name": "in0",
            "path": "/args/0",
            "dtype": "float32",
            "shape": ["batch", 3, 6, "width"],
            "actual": [2, 3, 6, 6],
        }
    ]
    assert [value["path"] for value in signature["outputs"]] == ["/0", "/1"]
    assert signature["batch_axes"] == {"in0": 0, "out0": 0, "out1": 0}
    inputs = {name: arrays.read(tmp_path / "net" / f"inputs-{name}.safetensors") for name in ("two", "three_wider")}
    eager = {name: arrays.read(tmp_path / "net" / f"runs-{name}.safetensors") for name in inputs}
    with small_onnx.started("ncnn", runtime.command("cpu", 1, tmp_path, print)) as worker:
        small_onnx.load(worker, "ncnn", folder, signature)
        for name in ("two", "three_wider", "two"):
            found = small_onnx.outputs(worker, signature, inputs[name], tmp_path)
            for value, array in zip(signature["outputs"], found, strict=True):
                expected = eager[name][f"e0:{value['path']}"]
                assert array.shape == expected.shape
                # float16 in any step would be off by 1e-4.
                np.testing.assert_allclose(array, expected, rtol=2e-6, atol=2e-6)
        other, signature = exported(tmp_path, "scaled")
        small_onnx.load(worker, "ncnn", other, signature)
        inputs_of_other = arrays.read(tmp_path / "scaled" / "inputs-two.safetensors")
        scaled = small_onnx.outputs(worker, signature, inputs_of_other, tmp_path)[1]
        expected = arrays.read(tmp_path / "scaled" / "runs-two.safetensors")["e0:/1"]
        np.testing.assert_allclose(scaled, expected, rtol=2e-6, atol=2e-6)
        # Other numbers are other artifacts': a factor of 1.01 shows.
        small_onnx.load(worker, "ncnn", folder, small_onnx.Small.signed(folder, first))
        unscaled = small_onnx.outputs(worker, first, inputs_of_other, tmp_path)[1]
        assert np.abs(unscaled - expected).max() > 1e-3
        (other / "model.ncnn.param").write_text("7767517\n1 1\nNonsense n 0 1 out0\n")
        with pytest.raises(WorkerRefused, match=r"ncnn refuses its graph .*layer Nonsense not exists or registered"):
            small_onnx.load(worker, "ncnn", other, signature)


def test_what_pnnx_does_not_take(tmp_path: Path) -> None:
    host, where = built(tmp_path, "mask")
    with pytest.raises(WorkerError, match=r"pnnx can't take an input of bool; it takes float32, "):
        ncnn.shapes(host.build(where), "one")
    (tmp_path / "model.pt").write_bytes(b"no model")
    with pytest.raises(WorkerError, match=r"pnnx (ended with status|died by SIG)"):
        ncnn.convert(tmp_path, ["inputshape=[1]f32"])


def test_a_dead_pnnx_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pnnx

    dying = tmp_path / "pnnx"
    dying.write_text("#!/bin/sh\necho last words\nkill -SEGV $$\n")
    dying.chmod(0o700)
    monkeypatch.setattr(pnnx, "EXEC_PATH", str(dying))
    with pytest.raises(WorkerError, match="pnnx died by SIGSEGV: last words"):
        ncnn.convert(tmp_path, [])


def test_the_second_shape_is_the_one_that_differs_most(tmp_path: Path) -> None:
    host, where = built(tmp_path, "net")
    case = host.build(where)
    assert ncnn.shapes(case, case.exporter_set) == "[2,3,6,6]f32"
    other = ncnn.other_set(case)
    assert other is not None
    assert case.inputs[other][0][0].shape[0] not in (1, 2)
    assert case.inputs[other][0][0].shape[3] not in (1, 6)
    case.inputs = {case.exporter_set: case.inputs[case.exporter_set]}
    assert ncnn.other_set(case) is None


SCRIPT = """
def test_inference():
    ex.input("in0", ncnn.Mat(in0.numpy(), batch_index=0).clone())
    ex.input("in1", ncnn.Mat(in1.numpy(), batch_index=233).clone())
    _, out0 = ex.extract("out0")
    out.append(torch.from_numpy(out0.numpy(batch_index=1)))
"""


def test_batches_are_read_from_the_example() -> None:
    assert ncnn.batch_axes(SCRIPT) == ({"in0": 0, "in1": 233, "out0": 1}, ["out0"])
    with pytest.raises(ExportMismatch, match="without an output"):
        ncnn.batch_axes("pass")
