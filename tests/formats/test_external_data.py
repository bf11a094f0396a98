"""ONNX: the weights of large models are in a file beside the graph, which all who carry or read artifacts know of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.formats import external_data, foreign
from pytest_modelconform.workers import arrays, convert, lookups
from tests.formats.test_formats import exported
from tests.support import runs

CASE = """\
import torch

from pytest_modelconform import Case, generic_weights


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(32, 32)

    def forward(self, x):
        return self.linear(x)


inputs = {"two": lambda: (torch.rand(2, 32),), "three": lambda: (torch.rand(3, 32),)}
"""
ONE = CASE + 'case = Case(model=lambda: generic_weights(Net()), inputs=inputs, dynamic_shapes={"x": {0: "batch"}})\n'
RUNTIMES = ("ort", "openvino", "ort-cpp", "openvino-cpp")


def request(runtime: str, folder: Path, signature: dict[str, Any]) -> dict[str, Any]:
    """What a runtime is asked to load."""
    registry = Registry()
    register_built_in(registry)
    return registry.runtime(runtime).load_request(folder, signature)


@pytest.mark.parametrize("name", ["onnx", "onnx-decomposed"])
def test_large_weights_are_beside_the_graph(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {}
    for least in (10**9, 1):
        monkeypatch.setattr(external_data, "LEAST", least)
        folder = tmp_path / str(least) / "artifact"
        folder.parent.mkdir()
        _, signature = exported(name, ONE, f"external_{name.replace('-', '_')}_{least}", folder)
        files[least] = sorted(path.name for path in folder.iterdir())
        external = [str(folder / file) for file in signature.get("external", [])]
        assert request("ort-web", folder, signature).get("external", []) == external
    assert files == {10**9: ["model.onnx", "signature.json"], 1: ["model.onnx", "model.onnx.data", "signature.json"]}

    described = foreign.of_onnx(folder / "model.onnx")
    assert described is not None
    assert described["external"] == signature["external"] == ["model.onnx.data"]
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    inputs = arrays.read(folder.parent / "inputs-two.safetensors")
    [found] = session.run(None, {signature["inputs"][0]["name"]: inputs["/args/0"]})
    assert found == pytest.approx(arrays.read(folder.parent / "runs-two.safetensors")["e0:"], abs=1e-5)


def test_files_of_the_older_exporter_are_named_by_the_graph() -> None:
    """Beyond 2 GB it writes one for each tensor; none is made here."""
    graph = onnx.helper.make_graph([], "graph", [], [])
    for name in ("b", "a"):
        tensor = onnx.numpy_helper.from_array(np.zeros(4), name)
        onnx.external_data_helper.set_external_data(tensor, f"{name}.weight")
        graph.initializer.append(tensor)
    assert external_data.of_graph(graph) == {"external": ["a.weight", "b.weight"]}


def test_what_is_converted_has_no_such_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(lookups, "record", dict)
    handlers = convert.handlers("it", "1", lambda source, signature, folder: {**signature, "file": "model.it"})
    signature = {"file": "model.onnx", "layout": "flat", "external": ["model.onnx.data"]}
    asked = {"source": str(tmp_path), "folder": str(tmp_path), "signature": signature}
    assert handlers["convert"](asked)["signature"] == {"file": "model.it", "layout": "flat"}


@pytest.mark.compiles
def test_it_runs_in_every_language(tmp_path: Path) -> None:
    runs.case_file(tmp_path, "external", ONE)
    found = runs.run(
        tmp_path,
        "--modelconform-formats=onnx",
        runtimes=",".join(RUNTIMES),
        env={"MODELCONFORM_EXTERNAL_DATA": "1"},
    )
    verdicts = {cell["runtime"]: cell["verdict"] for cell in found.report["cells"] if cell["runtime"] != "eager"}
    assert verdicts == dict.fromkeys(RUNTIMES, "pass"), found.stdout
    for cell in found.report["cells"]:
        if cell["runtime"] != "eager":
            assert Path(cell["artifact"]).with_name("model.onnx.data").is_file()
