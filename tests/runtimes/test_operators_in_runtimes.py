"""Operators of one's own, compiled and run for real: right ones, a wrong one, and cases that name none, or too few."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelconform.building import harness
from tests.support import runs

pytestmark = [
    pytest.mark.compiles,
    pytest.mark.skipif(harness.unavailable("frontend") is not None, reason="no compiler, or no libtorch"),
]

EXAMPLE = Path(__file__).parents[2] / "cases" / "plain"
RIGHT = [
    "export-torch-cpu",
    "torchscript_trace-libtorch_cpp-cpu",
    "aoti-libtorch_cpp-cpu",
    "onnx-ort-cpu",
    "onnx-ort_cpp-cpu",
    "onnx-openvino-cpu",
    "torchscript_trace-libtorch_cpp-cpu-gradients",
]
IN_PYTHON = ("export-torch-cpu", "torchscript_trace-libtorch_cpp-cpu")
# In Python only, as most people begin.
PYTHON = """\
import torch
from torch import Tensor, nn

from pytest_modelconform import Case, Operators, generic_weights


@torch.library.custom_op("NAME::shrink", mutates_args=())
def shrink(x: Tensor, by: float) -> Tensor:
    return torch.sign(x) * torch.relu(x.abs() - by)


@shrink.register_fake
def _(x: Tensor, by: float) -> Tensor:
    return torch.empty_like(x)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(10, 16)

    def forward(self, x: Tensor) -> Tensor:
        return shrink(self.first(x), 0.2)


case = Case(
    model=lambda: generic_weights(Net()),
    inputs={"three": lambda: (torch.randn(3, 10),)},
    fixed_inputs="one set shows it",
    operators=GIVEN,
)
"""


@pytest.fixture
def run(session_folder: Path) -> runs.Run:
    """One run for all: the example, the example with another kernel for ONNX Runtime, and two in Python."""
    return runs.once(session_folder, "own-operators", _made)


def _made(folder: Path) -> runs.Run:
    files = {path.name: path.read_text() for path in EXAMPLE.glob("own_operator*")}
    kernel = files["own_operator_onnxruntime.cpp"]
    files["wrong.cpp"] = kernel.replace("in[i] * in[i] + b", "in[i] * in[i] + 1.01f * b")
    assert files["wrong.cpp"] != kernel
    files["wrong.py"] = files["own_operator.py"].replace('("own_operator_onnxruntime.cpp",)', '("wrong.cpp",)')
    given = {"named": 'Operators(torch=("named.py",))', "unnamed": "None"}
    files |= {f"{name}.py": PYTHON.replace("NAME", name).replace("GIVEN", text) for name, text in given.items()}
    ids = [f"own_operator.py::own_operator[{cell}]" for cell in RIGHT]
    ids += ["wrong.py::wrong[onnx-ort_cpp-cpu]"]
    ids += [f"{name}.py::{name}[{cell}]" for name in given for cell in IN_PYTHON]
    everything = ("--modelconform-formats=all", "--modelconform-threads=0")
    return runs.run(runs.write(folder, files), *ids, *everything, runtimes="all", seconds=900)


def test_the_example_passes_wherever_its_operator_is(run: runs.Run) -> None:
    cells = [f"own_operator[{cell}]" for cell in RIGHT]
    assert {cell: run.verdict(cell) for cell in cells} == dict.fromkeys(cells, ("pass", None))


def test_a_kernel_that_is_a_little_wrong_is_a_mismatch(run: runs.Run) -> None:
    assert run.verdict("wrong[onnx-ort_cpp-cpu]") == ("mismatch", "compare")


def test_an_operator_in_python_serves_python_and_nobody_else(run: runs.Run) -> None:
    assert run.verdict("named[export-torch-cpu]") == ("pass", None)
    cell = "named[torchscript_trace-libtorch_cpp-cpu]"
    assert run.verdict(cell) == ("unsupported", "load")
    assert "registers in Python (named.py), and libtorch-cpp runs no Python" in run.message(cell)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("export-torch-cpu", 'operators=Operators(torch=("unnamed.py",))'),
        ("torchscript_trace-libtorch_cpp-cpu", "a C++ source with TORCH_LIBRARY"),
    ],
)
def test_a_case_that_names_none_is_told_what_to_add(run: runs.Run, cell: str, said: str) -> None:
    assert run.verdict(f"unnamed[{cell}]") == ("error", "load")
    # In sight: a terminal shows the beginning of what an exporter says.
    shown = run.failure(f"unnamed.py::unnamed[{cell}]")
    assert said in shown
    assert "unnamed::" in shown
