"""Formats made from an ExportedProgram, and their runtimes: right ones, wrong ones, and what they say of the model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import runs

# ExecuTorch, LiteRT and Core ML compile the model; minutes of importing and converting in any case.
pytestmark = pytest.mark.compiles

# Inputs of three dtypes, one of them by keyword; outputs of three, in a dict. `wrong` is another model once exported.
CASES = """\
import torch
from torch import nn

from pytest_modelconform import Case, generic_weights


class Net(nn.Module):
    def __init__(self, factor=1.0):
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.linear = nn.Linear(3, 4)
        self.factor = factor

    def forward(self, tokens, x, *, mask):
        y = self.embedding(tokens) + self.linear(x)
        if torch.compiler.is_exporting():
            y = y * self.factor
        return {"y": y.masked_fill(mask, 0.0), "best": y.argmax(-1), "positive": y > 0}


def call(batch):
    mask = torch.rand(batch, 6, 4) > 0.7
    return {"tokens": torch.randint(0, 7, (batch, 6)), "x": torch.randn(batch, 6, 3), "mask": mask}


inputs = {"two": lambda: call(2), "five": lambda: call(5)}
shapes = {"tokens": {0: "batch"}, "x": {0: "batch"}, "mask": {0: "batch"}}
net = Case(model=lambda: generic_weights(Net()), inputs=inputs, dynamic_shapes=shapes)
wrong = Case(model=lambda: generic_weights(Net(1.001)), inputs=inputs, dynamic_shapes=shapes)


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(5, 3))

    def forward(self, x):
        return x * self.scale + 1.0, x


plain = {"two": lambda: (torch.rand(5, 3),)}
scaled = Case(model=lambda: generic_weights(Scaled()), inputs=plain, dtypes=("bfloat16",))
"""
FORMATS = "openvino,stablehlo,executorch,executorch-portable,litert,coreml"
RUNTIMES = "openvino,jax,executorch,litert,coreml"
# What is expected is neither tried again in a process of its own, which imports an exporter anew, nor diagnosed.
EXPECTED = """\
[[expect]]
cell = "net.py::wrong[*-cpu]"
verdict = "mismatch"
stage = "compare"
reason = "it is another model"

[[expect]]
cell = "net.py::scaled[litert-litert-cpu-bfloat16]"
verdict = "error"
stage = "export"
reason = "it has no bfloat16"

[[expect]]
cell = "net.py::scaled[coreml-coreml-cpu-bfloat16]"
verdict = "error"
stage = "export"
reason = "it has no bfloat16"
"""
CELLS = (
    "openvino-openvino",
    "stablehlo-jax",
    "executorch-executorch",
    "executorch_portable-executorch",
    "litert-litert",
)


IN_BFLOAT16 = ("stablehlo-jax", "executorch-executorch", "executorch_portable-executorch")
REFUSED = ("litert-litert", "coreml-coreml")


@pytest.fixture
def run(session_folder: Path, cache: Path) -> runs.Run:
    """A run of the cases in all of these, as far as a test looks at what comes of it."""

    def make(folder: Path) -> runs.Run:
        runs.write(folder, {"net.py": CASES, "expected.toml": EXPECTED})
        options = (f"--modelconform-formats={FORMATS}", "--modelconform-timeout=900")
        names = [
            "wrong[eager]",
            *(f"net[{cell}-cpu]" for cell in (*CELLS, "coreml-coreml")),
            *(f"wrong[{cell}-cpu]" for cell in CELLS),
            *(f"scaled[{cell}-cpu-bfloat16]" for cell in (*IN_BFLOAT16, *REFUSED)),
        ]
        cells = [f"net.py::{name}" for name in names]
        return runs.run(folder, *options, *cells, runtimes=RUNTIMES, seconds=1800)

    return runs.once(session_folder, "programs", make)


def artifact(cache: Path, kind: str) -> tuple[Path, dict[str, Any]]:
    """Any artifact of `net` or `wrong` in a format, and its signature."""
    for path in sorted(cache.glob("artifacts/*/signature.json")):
        signature: dict[str, Any] = json.loads(path.read_text())
        if signature["format"] == kind and len(signature["inputs"] or ()) == 3:
            return path.parent, signature
    raise AssertionError(f"there is no artifact in the format {kind}")


@pytest.mark.parametrize("cell", CELLS)
def test_right_ones_pass(cell: str, run: runs.Run) -> None:
    name = f"net[{cell}-cpu]"
    assert run.verdict(name) == ("pass", None), run.message(name)
    inputs = run.cells[name]["inputs"]
    # LiteRT's converter refuses the embedding's dynamic batch.
    static = cell == "litert-litert"
    assert inputs["two"]["verdict"] == "pass"
    assert inputs["five"]["verdict"] == ("unsupported" if static else "pass")
    assert ("the artifact's shapes are static, though the case's are not" in run.message(name)) == static
    assert set(inputs["two"]["outputs"]) == {"output['y']", "output['best']", "output['positive']"}
    # As the runtime returned it.
    assert inputs["two"]["outputs"]["output['best']"]["dtype"] == "int64"


@pytest.mark.parametrize("cell", CELLS)
def test_wrong_ones_are_seen(cell: str, run: runs.Run) -> None:
    name = f"wrong[{cell}-cpu]"
    assert run.verdict(name) == ("mismatch", "compare"), run.message(name)
    assert "output['y']" in run.message(name)
    assert run.verdict("wrong[eager]") == ("pass", None)


@pytest.mark.parametrize("cell", IN_BFLOAT16)
def test_a_dtype_that_numpy_has_not(cell: str, run: runs.Run) -> None:
    name = f"scaled[{cell}-cpu-bfloat16]"
    assert run.verdict(name) == ("pass", None), run.message(name)
    assert {value["dtype"] for value in run.cells[name]["inputs"]["two"]["outputs"].values()} == {"bfloat16"}
    # ExecuTorch refuses strides, and says so; the others take them.
    transposed = run.cells[name]["inputs"]["auto-transposed"]
    assert transposed["verdict"] == ("unsupported" if "executorch" in cell else "pass")


@pytest.mark.parametrize(
    ("cell", "message"),
    list(zip(REFUSED, ("unsupported ScalarType BFloat16", "bfloat16"), strict=True)),
)
def test_what_converters_do_not_take_is_an_error_at_export(cell: str, message: str, run: runs.Run) -> None:
    name = f"scaled[{cell}-cpu-bfloat16]"
    assert run.verdict(name) == ("error", "export"), run.message(name)
    assert message in run.message(name)


def test_static_shapes_are_refused_where_they_are_declared(run: runs.Run) -> None:
    five = run.cells["net[litert-litert-cpu]"]["inputs"]["five"]["message"]
    assert "this set has (5, 6): the exporter fixed a size that dynamic_shapes leaves open" in five
    assert "\nValueError: input " in five
    assert "the model takes [2, 6" in five


@pytest.mark.skipif(sys.platform == "darwin", reason="there it runs")
def test_where_core_ml_is_not_the_model_is_converted_all_the_same(run: runs.Run) -> None:
    name = "net[coreml-coreml-cpu]"
    assert run.verdict(name) == ("unavailable", "load")
    assert run.message(name).startswith(
        "The export succeeded, but it could not be run: runtime coreml: Core ML exists on macOS only: run this on a Mac"
    )
    # A folder in the artifact's folder counts, too.
    assert run.cells[name]["artifact_bytes"] > 1000


def test_executorch_is_told_how_to_call_and_how_long_things_get(run: runs.Run, cache: Path) -> None:
    _, signature = artifact(cache, "executorch")
    assert signature["call"] == [{"name": "tokens"}, {"name": "x"}, {"name": "mask"}]
    assert signature["returns"] == [0, 1, 2]


def test_a_stablehlo_artifact_says_how_it_is_called_and_needs_no_torch(run: runs.Run, cache: Path) -> None:
    folder, _ = artifact(cache, "stablehlo")
    call = json.loads((folder / "call.json").read_text())
    assert call["calling_convention_version"] >= 9
    assert (call["platforms"], call["kept"]) == (["cpu"], [0, 1, 2])
    assert [(value["name"], value["dtype"]) for value in call["inputs"]] == [
        ("tokens", "int64"), ("x", "float32"), ("mask", "bool"),
    ]  # fmt: skip
    assert [value["dtype"] for value in call["outputs"]] == ["float32", "int64", "bool"]
    batch, length = call["inputs"][0]["shape"]
    assert isinstance(batch, str)
    assert length == 6
    assert call["outputs"][0]["shape"] == [batch, 6, 4]
    program = (
        "import sys, jax, jax.export, pathlib\n"
        "jax.config.update('jax_enable_x64', True)\n"
        "stored = jax.export.deserialize(bytearray(pathlib.Path(sys.argv[1], 'model.jax').read_bytes()))\n"
        "assert stored.mlir_module_serialized == pathlib.Path(sys.argv[1], 'model.mlirbc').read_bytes()\n"
        "assert 'torch' not in sys.modules\n"
        "text = stored.mlir_module()\n"
        "assert 'HIGHEST' in text, text\n"
    )
    done = subprocess.run([sys.executable, "-c", program, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
