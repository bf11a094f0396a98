"""Cases whose model is TorchScript: the references, the file itself, and what other formats make of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pytest_modelconform.formats import onnx_legacy, program, torchscript_script, torchscript_trace
from pytest_modelconform.workers.host.build import Built, build
from pytest_modelconform.workers.host.references import runs as references
from pytest_modelconform.workers.loop import WorkerError
from tests.support import runs

# Which way it goes depends on the numbers: what an exporter baked in, the other set would show.
NET = """\
import os
from typing import Dict, List, Optional

import torch

from pytest_modelconform import Case, generic_weights


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 3)
        self.norm = torch.nn.BatchNorm1d(3)

    def forward(self, x, pair: List[torch.Tensor], scale: float = 2.0, mask: Optional[torch.Tensor] = None):
        y = self.norm(self.linear(x))
        if bool(x.sum() > 0):
            y = y * scale
        else:
            y = torch.sigmoid(y)
        if mask is not None:
            y = y * mask
        return {"y": y, "sum": pair[0] + pair[1]}


class Loop(torch.nn.Module):
    def forward(self, x):
        y = x
        for i in range(x.shape[0]):
            y = torch.tanh(y) + x[i]
        return y


class Counter(torch.nn.Module):
    count: float

    def __init__(self):
        super().__init__()
        self.count = 0.0

    def forward(self, x):
        self.count += 1.0
        return x * self.count


FILE = os.path.join(os.path.dirname(__file__), "net.pt")


def pair():
    return [torch.rand(2), torch.rand(2)]


inputs = {
    "positive": lambda: {"x": torch.rand(3, 4), "pair": pair(), "mask": torch.rand(3)},
    "negative": lambda: {"x": -torch.rand(5, 4), "pair": pair(), "mask": torch.rand(3)},
}
shapes = {"x": {0: "batch"}, "pair": [None, None], "mask": None}
loaded = Case(model=lambda: torch.jit.load(FILE), inputs=inputs, dynamic_shapes=shapes)
loop = Case(
    model=lambda: torch.jit.script(Loop()),
    inputs={"three": lambda: (torch.rand(3, 4),), "five": lambda: (torch.rand(5, 4),)},
    dynamic_shapes={"x": {0: "batch"}},
)
counter = Case(model=lambda: torch.jit.script(Counter()), inputs={"one": lambda: (torch.rand(3),)})
unfit = Case(model=lambda: torch.jit.load(FILE), inputs={"one": lambda: {"x": torch.rand(3, 4), "other": 1}})
"""
pytestmark = pytest.mark.filterwarnings("ignore::Warning")  # TorchScript, and the exporter of it, are deprecated


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The case file, beside the file of TorchScript that it loads."""
    path = runs.case_file(tmp_path, "scripted", NET)
    namespace: dict[str, Any] = {"__file__": str(path), "__name__": path.stem}
    # torch.jit.script reads the source of the class from its file.
    exec(compile(NET, str(path), "exec"), namespace)
    torch.manual_seed(0)
    net = namespace["generic_weights"](namespace["Net"]())
    torch.jit.save(torch.jit.script(net.eval()), tmp_path / "net.pt")
    return path


def built(file: Path, name: str) -> Built:
    return build(str(file), file.name, name)


def outputs(case: Built, key: str) -> dict[str, np.ndarray[Any, Any]]:
    args, kwargs = case.clone_inputs(key)
    with torch.no_grad():
        return {name: value.numpy() for name, value in case.model(*args, **kwargs).items()}


def test_references_and_what_the_case_is_made_from(file: Path, tmp_path: Path) -> None:
    case = built(file, "loaded")
    assert str((tmp_path / "net.pt").resolve()) in case.files
    assert case.argument_name("/kwargs/pair/1") == "pair_1"
    content = references.make(case, str(tmp_path))
    assert [entry["impure"] for entry in content["sets"].values()] == [""] * len(content["sets"])
    assert {"positive", "negative"} < set(content["sets"])
    assert all(entry["repeats"] for entry in content["sets"].values())
    # Those of the batch norm among them, whose gradients can't be asked for in TorchScript.
    assert content["unseen"] == {"tensors": 6, "unseen": [], "skipped": "", "constant": []}


def test_inputs_that_do_not_fit_are_the_cases_fault(file: Path) -> None:
    says = r"case 'unfit', input set 'one': it doesn't fit forward\(x, pair, scale=2.0, mask=None\): missing a required"
    with pytest.raises(WorkerError, match=says):
        built(file, "unfit")


@pytest.mark.parametrize("exporter", [torchscript_trace, torchscript_script])
def test_torchscript_is_stored_as_it_is(exporter: Any, file: Path, tmp_path: Path) -> None:
    case = built(file, "loaded")
    signature = exporter.export(case, tmp_path)
    assert signature["layout"] == "tree"
    stored = torch.jit.load(tmp_path / "model.pt")
    assert stored.code == torch.jit.load(tmp_path / "net.pt").code
    assert {name: value.tolist() for name, value in stored.state_dict().items()} == {
        name: value.tolist() for name, value in case.model.state_dict().items()
    }


@pytest.mark.parametrize("key", ["positive", "negative"])
def test_torch_export_has_both_ways(key: str, file: Path) -> None:
    case = built(file, "loaded")
    found = program.exported(case)
    assert program.input_names(found) == ["x", "pair_0", "pair_1", "mask"]
    args, kwargs = case.clone_inputs(key)
    returned = found.module()(*args, **kwargs)
    for name, value in outputs(case, key).items():
        assert returned[name].detach().numpy() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("key", ["positive", "negative"])
def test_the_older_onnx_exporter_has_both_ways(key: str, file: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    case = built(file, "loaded")
    case.output_paths = ["/y", "/sum"]
    signature = onnx_legacy.export(case, tmp_path)
    assert [value["name"] for value in signature["inputs"]] == ["x", "pair_0", "pair_1", "mask"]
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    _, kwargs = case.clone_inputs(key)
    feeds = {"x": kwargs["x"], "pair_0": kwargs["pair"][0], "pair_1": kwargs["pair"][1], "mask": kwargs["mask"]}
    names = [value["name"] for value in signature["outputs"]]
    returned = session.run(names, {name: value.numpy() for name, value in feeds.items()})
    for value, expected in zip(returned, outputs(case, key).values(), strict=True):
        assert value == pytest.approx(expected, abs=1e-6)


def test_what_the_converter_lacks_is_what_it_says(file: Path) -> None:
    with pytest.raises(RuntimeError, match="TS2EPConverter failed for node prim::Loop"):
        program.exported(built(file, "loop"))


def test_a_run(file: Path) -> None:
    run = runs.run(runs.write(file.parent, {}), "-n", "0", file.name, runtimes="torch")
    for name in ("loaded[eager]", "loaded[torchscript_trace-torch-cpu]", "loop[torchscript_trace-torch-cpu]"):
        assert run.verdict(name) == ("pass", None), run.message(name)
    # An attribute, which is no buffer.
    assert run.verdict("counter[eager]") == ("error", "reference")
    assert "It keeps state between calls. Take the state as an input" in run.message("counter[eager]")
