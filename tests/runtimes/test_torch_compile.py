"""`torch.compile` as a runtime: of the model itself and of an exported program, and what it makes of faulty ones."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.runtimes import torch_compile, torch_compile_cudagraphs, torch_compile_fullgraph
from pytest_modelconform.workers.loop import WorkerError
from tests.support import runs

CASES = """\
import torch
from torch import nn

from pytest_modelconform import Case, generic_weights

import sizes


class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(sizes.IN, 3)

    def forward(self, x):
        return self.linear(x).tanh()


class Wrong(Whole):
    def forward(self, x):
        # Of what exporters record, and Dynamo does, another model.
        return self.linear(x * 1.01 if torch.compiler.is_compiling() else x)


class Broken(Whole):
    def forward(self, x):
        y = self.linear(x)
        if y.sum().item() > 1e6:
            y = y + 1
        return y.tanh()


class Eager(Whole):
    def forward(self, x):
        for _ in range(2):
            if x.sum().item() > 1e6:
                x = x + 1
        return x * 2


def case(net):
    inputs = {"four": lambda: (torch.randn(4, 6),), "seven": lambda: (torch.randn(7, 6),)}
    shapes = {"x": {0: "batch"}}
    model = lambda: generic_weights(net())
    return Case(model=model, inputs=inputs, dynamic_shapes=shapes, fixed_inputs="that it ends")


whole = case(Whole)
wrong = case(Wrong)
broken = case(Broken)
eager = case(Eager)
"""
# What is expected is neither tried again nor diagnosed.
EXPECTED = """\
[[expect]]
cell = "nets.py::wrong[*]"
verdict = "mismatch"
stage = "compare"
reason = "it is another model"
"""
NODES = (
    "whole[module-torch_compile-cpu]",
    "whole[export-torch_compile-cpu]",
    "wrong[module-torch_compile-cpu]",
    "broken[module-torch_compile-cpu]",
    "eager[module-torch_compile-cpu]",
)


@pytest.fixture(scope="module")
def run(session_folder: Path) -> runs.Run:
    def made(folder: Path) -> runs.Run:
        runs.write(folder, {"nets.py": CASES, "sizes.py": "IN = 6\n", "expected.toml": EXPECTED})
        chosen = [f"nets.py::{name}" for name in NODES]
        formats = "--modelconform-formats=module,export"
        return runs.run(folder, formats, *chosen, runtimes="torch-compile")

    return runs.once(session_folder, "torch-compile", made)


@pytest.mark.compiles
def test_verdicts(run: runs.Run) -> None:
    expected = {
        "whole[module-torch_compile-cpu]": ("pass", None),
        "whole[export-torch_compile-cpu]": ("pass", None),
        "wrong[module-torch_compile-cpu]": ("mismatch", "compare"),
        "broken[module-torch_compile-cpu]": ("pass", None),
        "eager[module-torch_compile-cpu]": ("unsupported", "run"),
    }
    assert {name: run.verdict(name) for name in NODES} == expected
    assert "left all of it to eager PyTorch: nets.py" in run.message("eager[module-torch_compile-cpu]")


@pytest.mark.compiles
def test_graphs_and_graph_breaks_are_in_the_record(run: runs.Run) -> None:
    records = run.cells
    for name in NODES[:2]:
        made = records[name]["compiled"]
        # The batch varies as the case says: one graph is for all.
        assert (made["graphs"], made["breaks"], made["recompilations"], made["eager"]) == (1, 0, 0, 0)
        assert (records[name]["artifact_bytes"] is None) == (records[name]["format"] == "module")
    made = records["broken[module-torch_compile-cpu]"]
    assert made["compiled"]["breaks"] == 1
    assert made["inputs"]["four"]["compiled"]["breaks"][0]["where"].startswith("nets.py:")
    assert "torch.compile\n  broken[module-torch_compile-cpu]: 1 graph break: nets.py:" in run.stdout


def test_a_model_that_is_another_one_now_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = importlib.import_module("pytest_modelconform.workers.python.compile_worker")
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "sizes.py").write_text("IN = 6\n")
    path = runs.case_file(tmp_path, "another", CASES)
    asked = {"file": str(path), "relative": path.name, "case": "whole", "dtype": "float32", "digest": "another"}
    with pytest.raises(WorkerError, match="building the model and the inputs a second time gave other numbers"):
        worker.built({**asked, "path": [str(tmp_path / "beside")]}, "cpu")


def test_what_each_is_asked_for() -> None:
    shape = {"path": "/args/0", "shape": ["batch", 6], "dtype": "float32"}
    signature = {
        "file": "signature.json",
        "format": "module",
        "inputs": [shape, {**shape, "path": "/args/1", "shape": [6]}],
        "case": {"case": "whole"},
    }
    asked = {
        runtime.NAME: runtime.load_request(Path("folder"), signature)["options"]
        for runtime in (torch_compile, torch_compile_fullgraph, torch_compile_cudagraphs)
    }
    assert asked == {
        "torch-compile": {},
        "torch-compile-fullgraph": {"fullgraph": True},
        "torch-compile-cudagraphs": {"mode": "reduce-overhead"},
    }
    request = torch_compile.load_request(Path("folder"), signature)
    assert (request["dynamic"], request["case"]) == ({"/args/0": [0]}, {"case": "whole"})


def test_they_run_when_they_are_named_and_cuda_graphs_on_a_gpu() -> None:
    registry = Registry()
    register_built_in(registry)
    assert not {"torch-compile", "torch-compile-fullgraph"} & set(registry.select_runtimes(()))
    runtimes = ("torch-compile", "torch-compile-fullgraph", "torch-compile-cudagraphs")
    cells = registry.cells("net.py", "net", ("module", "export"), runtimes, ("cpu", "cuda", "cuda-to-cpu"))
    found = {(cell.format, cell.runtime, cell.device) for cell in cells}
    assert {device for _, runtime, device in found if runtime.endswith("cudagraphs")} == {"cuda"}
    # The model itself is never made on one device for the other.
    assert ("module", "torch-compile", "cuda-to-cpu") not in found
    assert ("export", "torch-compile", "cuda-to-cpu") in found
    # Models of other frameworks are modules only where PyTorch has to do with them.
    assert not registry.cells("net.py", "net", ("module",), runtimes, ("cpu",), framework="onnx")


def test_without_a_compiler_its_cells_are_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert (torch_compile.unavailable("cpu") or "").startswith("needs a C++ compiler ($CXX, no-such-compiler,")
