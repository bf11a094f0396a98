"""Every format stores a model so that its signature says how the artifact is to be called."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.environments.packages import missing_packages
from pytest_modelconform.formats.base import ExportMismatch, described, flat_signature
from pytest_modelconform.formats.built_in import BUILT_IN
from pytest_modelconform.workers import arrays
from pytest_modelconform.workers.host import host as host_module

CASE = """\
import torch

from pytest_modelconform import Case, generic_weights


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 2)

    def forward(self, x, unused, shift):
        y = self.linear(x)
        return y + shift, y.sum(0)


case = Case(
    model=lambda: generic_weights(Net()),
    inputs={{"two": lambda: {{"shift": torch.rand(2), "x": torch.rand(2, 3), "unused": torch.rand(1)}}}},
    dynamic_shapes={{"x": {{0: "batch"}}, "unused": {{}}, "shift": {{}}}},
)
"""


def registry() -> Registry:
    made = Registry()
    register_built_in(made)
    return made


def exported(name: str, source: str, stem: str, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The host's answer and the signature, of a case that is exported to `folder`; references are left beside that."""
    module = registry().format(name)
    if reason := missing_packages(module.REQUIRES):
        pytest.skip(f"{name} {reason}")
    path = folder.parent / f"{stem}.py"
    path.write_text(source)
    host = host_module.Host()
    where = {"file": str(path), "relative": path.name, "case": stem}
    folder.mkdir()
    with warnings.catch_warnings():
        # torch's own, of its exporters' deprecations.
        warnings.simplefilter("ignore")
        content = host.reference({**where, "folder": str(folder.parent)})
        request = {**where, "module": BUILT_IN[name], "folder": str(folder), "digest": content["digest"]}
        answer = host.export({**request, "output_paths": content["output_paths"]})
    return answer, json.loads((folder / "signature.json").read_text())


# Packages of AOTInductor take long to make: test_aoti.py has one that it shares with others. What doesn't run unless it
# is named has tests of its own.
@pytest.mark.parametrize("name", [name for name in registry().select_formats(()) if name != "aoti"])
def test_each_format(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "artifact"
    answer, signature = exported(name, CASE.format(), f"format_{name.replace('-', '_')}", folder)
    assert answer["seconds"] > 0
    assert signature["format"] == name
    if name == "module":  # nothing is stored, and the model takes 8 floats of memory
        assert [path.name for path in folder.iterdir()] == ["signature.json"]
        assert signature["bytes"] == 4 * 8
    else:
        assert (folder / signature["file"]).stat().st_size < answer["bytes"]
    assert signature["operators"] == []
    if signature["layout"] == "tree":
        assert name.startswith(("torchscript", "export", "module", "state-dict"))
        return
    taken = {value["path"] for value in signature["inputs"]}
    assert taken >= {"/kwargs/x", "/kwargs/shift"}
    # The older exporter drops what the model does not use; the other one keeps it.
    assert signature["dropped"] == ([] if "/kwargs/unused" in taken else ["/kwargs/unused"])
    [x] = [value for value in signature["inputs"] if value["path"] == "/kwargs/x"]
    assert (x["dtype"], x["shape"][1]) == ("float32", 3)
    assert isinstance(x["shape"][0], str)
    assert [value["path"] for value in signature["outputs"]] == ["/0", "/1"]

    # And it is so: ONNX Runtime takes the inputs by these names and gives these outputs.
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(folder / signature["file"], providers=["CPUExecutionProvider"])
    inputs = arrays.read(tmp_path / "inputs-two.safetensors")
    feeds = {value["name"]: inputs[value["path"]] for value in signature["inputs"]}
    found = session.run([value["name"] for value in signature["outputs"]], feeds)
    eager = arrays.read(tmp_path / "runs-two.safetensors")
    for value, array in zip(signature["outputs"], found, strict=True):
        assert array == pytest.approx(eager[f"e0:{value['path']}"], abs=1e-5)


RETURNED = """\
import torch

from pytest_modelconform import Case, generic_weights


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 2)

    def forward(self, more, x, n):
        return self.linear(x) * more[0] + more[1], n, x


case = Case(
    model=lambda: generic_weights(Net()),
    inputs={"two": lambda: ([torch.rand(2), torch.rand(2)], torch.rand(2, 3), torch.arange(4))},
    dynamic_shapes=([None, None], {0: "batch"}, None),
)
"""


@pytest.mark.parametrize("name", ["onnx", "onnx-legacy", "onnx-decomposed", "openvino"])
def test_inputs_that_are_returned_as_they_are_or_in_a_list(name: str, tmp_path: Path) -> None:
    # Exporters give the former's name to the output, and the input another one; OpenVINO names the latter its own way.
    folder = tmp_path / "artifact"
    _, signature = exported(name, RETURNED, f"returned_{name.replace('-', '_')}", folder)
    assert [value["path"] for value in signature["inputs"]] == ["/args/0/0", "/args/0/1", "/args/1", "/args/2"]
    inputs = arrays.read(tmp_path / "inputs-two.safetensors")
    feeds = {value["name"]: inputs[value["path"]] for value in signature["inputs"]}
    names = [value["name"] for value in signature["outputs"]]
    openvino = pytest.importorskip("openvino")
    # Else it computes in bfloat16 on processors that have it.
    full = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(folder / signature["file"], "CPU", full)
    returned = compiled({compiled.input(name): array for name, array in feeds.items()})
    found = [returned[compiled.output(name)] for name in names]
    assert found[0] == pytest.approx(arrays.read(tmp_path / "runs-two.safetensors")["e0:/0"], abs=1e-5)
    assert (found[1] == inputs["/args/2"]).all()
    assert (found[2] == inputs["/args/1"]).all()


class Built:
    input_leaves: list[dict[str, Any]] = [  # noqa: RUF012 (a stand-in for the real one)
        {"path": "/args/0", "shape": [2], "dtype": "float32"},
        {"path": "/args/1", "shape": ["n"], "dtype": "int64"},
    ]
    output_paths = ("/a", "/b")


def flat(inputs: list[str], outputs: list[str]) -> dict[str, Any]:
    built: Any = Built()
    return flat_signature("m", built, inputs, outputs, ["x", "y"])


def test_flat_signatures() -> None:
    signature = flat(["y"], ["p", "q"])
    assert signature["inputs"] == [{"name": "y", "path": "/args/1", "shape": ["n"], "dtype": "int64"}]
    assert signature["dropped"] == ["/args/0"]
    assert signature["outputs"] == [{"name": "p", "path": "/a"}, {"name": "q", "path": "/b"}]


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        (["z"], ["p", "q"], r"graph input 'z' isn't one of the model's inputs \(x, y\)"),
        (["x"], ["p"], r"the graph has 1 outputs \(p\), the model returns 2 tensors"),
        (["x"], ["p", "p"], "two graph outputs have the same name: p, p"),
    ],
)
def test_graphs_that_do_not_fit(inputs: list[str], outputs: list[str], message: str) -> None:
    with pytest.raises(ExportMismatch, match=message):
        flat(inputs, outputs)


def test_a_formats_defaults() -> None:
    from types import ModuleType

    module = ModuleType("mine")
    vars(module).update(NAME="mine", export=lambda built, folder: {})
    made = described(module)
    assert (made.REQUIRES, made.MAIN, made.REPEATS, made.VERSION) == ((), False, 2, 1)
    assert (made.unavailable(), made.tools()) == (None, "")


def test_torchscript_runs_three_times() -> None:
    # Its optimiser works from the second run on.
    assert {name: registry().format(name).REPEATS for name in registry().select_formats(())} == {
        "torchscript-trace": 3, "torchscript-script": 3, "export": 2, "aoti": 2, "onnx": 2, "onnx-legacy": 2,
        "module": 3, "state-dict": 2,
    }  # fmt: skip
