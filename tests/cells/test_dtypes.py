"""Cells of several dtypes and precisions, from the case file to the report."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support import runs
from tests.support.runs import Run

pytestmark = pytest.mark.compiles

NET = """\
import torch

from pytest_modelconform import Case, Tolerance, generic_weights


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(32, 64)

    def forward(self, x):
        return {}


fields = dict(model=lambda: generic_weights(Net()), inputs={{"a": lambda: (torch.randn(4, 32),)}})
"""
FILES = {
    "net.py": NET.format("torch.nn.functional.gelu(self.linear(x))")
    + 'case = Case(**fields, dtypes=("float32", "bfloat16"))\n'
    'half = Case(**fields, dtypes=("float16",))\n',
    # Without an implementation in float16.
    "inverse.py": NET.format("torch.linalg.inv(self.linear(x)[:, :4])")
    + 'case = Case(**fields, dtypes=("float32", "float16"))\n',
    "expected.toml": """\
[[expect]]
cell = "inverse.py::inverse[*-float16]"
verdict = "error"
stage = "reference"
reason = "linalg.inv has no float16"
""",
}
TRACE = "torchscript_trace"


@pytest.fixture
def dtypes_run(session_folder: Path, cache: Path) -> Run:
    def make(folder: Path) -> Run:
        return runs.run(runs.write(folder, FILES), "-n", "0", runtimes="torch,libtorch-cpp")

    return runs.once(session_folder, "dtypes", make)


def test_the_cells_of_each_dtype(dtypes_run: Run) -> None:
    runtimes = ("torch", "libtorch_cpp")
    wanted = {f"{case}[eager{suffix}]" for case, suffix in VARIANTS}
    wanted |= {f"{case}[{TRACE}-{name}-cpu{suffix}]" for case, suffix in VARIANTS for name in runtimes}
    assert set(dtypes_run.cells) == wanted
    for name, cell in dtypes_run.cells.items():
        assert cell["dtype"] == next((d for d in ("bfloat16", "float16") if f"-{d}]" in name), "float32")
        assert cell["precision"] == "full"


VARIANTS = [("net", ""), ("net", "-bfloat16"), ("half", "-float16"), ("inverse", ""), ("inverse", "-float16")]


@pytest.mark.parametrize(("case", "suffix", "least", "most"), [
    ("net", "", 21, 27), ("net", "-bfloat16", 6, 10), ("half", "-float16", 9, 13),
])  # fmt: skip
def test_they_pass_with_the_bits_of_their_dtype(
    dtypes_run: Run, case: str, suffix: str, least: float, most: float
) -> None:
    for runtime in ("torch", "libtorch_cpp"):
        name = f"{case}[{TRACE}-{runtime}-cpu{suffix}]"
        assert dtypes_run.verdict(name) == ("pass", None), dtypes_run.message(name)
        assert least < dtypes_run.cells[name]["bits"] < most
        [output] = dtypes_run.cells[name]["inputs"]["a"]["outputs"].values()
        assert output["dtype"] == (suffix.removeprefix("-") or "float32")


def test_a_model_that_does_not_run_in_a_dtype_is_one_error_of_the_reference(dtypes_run: Run) -> None:
    assert dtypes_run.verdict("inverse[eager]") == ("pass", None)
    check = dtypes_run.cells["inverse[eager-float16]"]
    assert (check["verdict"], check["stage"]) == ("error", "reference")
    says = "case 'inverse', input set 'a': the model itself fails in float16, operator aten.linalg_inv_ex"
    assert check["message"].startswith(says)
    cell = dtypes_run.cells[f"inverse[{TRACE}-torch-cpu-float16]"]
    begin = "the model itself is not fit to be compared with, see inverse[eager-float16]: "
    assert cell["message"].startswith(begin)


def test_expectations_know_the_dtypes_ids(dtypes_run: Run) -> None:
    assert dtypes_run.status == 0, dtypes_run.stdout
    failed = {name for name, cell in dtypes_run.cells.items() if cell["expected"]}
    assert failed == {name for name in dtypes_run.cells if name.startswith("inverse") and "float16" in name}


def test_a_dtype_is_a_row_of_the_matrix(dtypes_run: Run) -> None:
    table = dtypes_run.stdout.partition("compatibility matrix")[2].splitlines()
    rows = [line.split("  ")[0] for line in table if line.startswith(("net", "half", "inverse"))]
    assert rows == ["inverse", "inverse float16", "net", "net bfloat16", "half float16"]


def test_a_marker_selects_a_dtype(dtypes_run: Run, session_folder: Path, pytester: pytest.Pytester) -> None:
    folder = session_folder / "dtypes"
    selected = runs.run_here(pytester, folder, "-m", "dtype_bfloat16", "--strict-markers", runtimes="torch")
    assert set(selected.cells) == {"net[eager-bfloat16]", f"net[{TRACE}-torch-cpu-bfloat16]"}
    assert all(cell["cached"] for cell in selected.cells.values())


def test_its_id_selects_it_too(dtypes_run: Run, session_folder: Path, pytester: pytest.Pytester) -> None:
    one = f"net.py::net[{TRACE}-torch-cpu-bfloat16]"
    found = runs.run_here(
        pytester, session_folder / "dtypes", "--collect-only", "-q", "--no-header", one, runtimes="torch"
    )
    assert [line for line in found.stdout.splitlines() if "::" in line] == [one]


# -- precisions --------------------------------------------------------------------------------------------------------

FAST_FILES = {
    "net.py": NET.format("torch.nn.functional.gelu(self.linear(x))")
    + 'case = Case(**fields, tolerances={"fast": Tolerance(worst=5), '
    '"openvino": Tolerance(bits_lost=3.5, reason="to be seen")})\n',
    # In bfloat16, next to nothing stays the same.
    "order.py": NET.format("(self.linear(x) * 1000).long()") + "case = Case(**fields)\n",
}
ONNX = "onnx"


@pytest.fixture
def fast_run(session_folder: Path) -> Run:
    def make(folder: Path) -> Run:
        options = ["--modelconform-precisions=full,fast", "--modelconform-formats=onnx,torchscript-trace"]
        return runs.run(runs.write(folder, FAST_FILES), "-n", "0", *options, runtimes="openvino,torch")

    return runs.once(session_folder, "fast", make)


def test_a_fast_cell_is_judged_by_the_noise_of_bfloat16(fast_run: Run) -> None:
    for name, full, fast in ((ONNX, "openvino", "openvino"), (TRACE, "torch", "torch")):
        one, other = f"net[{name}-{full}-cpu]", f"net[{name}-{fast}-cpu-fast]"
        assert fast_run.verdict(one) == fast_run.verdict(other) == ("pass", None), fast_run.message(other)
        assert fast_run.cells[one]["reference_bits"] > 20
        assert 5 < fast_run.cells[other]["reference_bits"] < 10
        assert (fast_run.cells[one]["precision"], fast_run.cells[other]["precision"]) == ("full", "fast")
        # One artifact serves both.
        assert fast_run.cells[other]["cached"] is True


def test_the_tolerance_for_one_runtime_is_in_the_notes(fast_run: Run) -> None:
    for suffix in ("", "-fast"):
        notes = fast_run.cells[f"net[{ONNX}-openvino-cpu{suffix}]"]["notes"]
        assert notes == ["tolerance for openvino: bits_lost=3.5: to be seen"]
    assert fast_run.cells[f"net[{TRACE}-torch-cpu-fast]"]["notes"] == ["tolerance for fast: worst=5"]
    assert fast_run.cells[f"net[{TRACE}-torch-cpu]"]["notes"] == []


def test_a_case_that_says_nothing_in_bfloat16_fails_in_its_fast_cells_only(fast_run: Run) -> None:
    full, fast = f"order[{TRACE}-torch-cpu]", f"order[{TRACE}-torch-cpu-fast]"
    assert fast_run.verdict(full) == fast_run.verdict("order[eager]") == ("pass", None)
    assert fast_run.verdict(fast) == ("error", "reference")
    assert "nothing can be compared in a fast mode: input set 'a', output is not compared" in fast_run.message(fast)
    # Its own fault, and so it is shown.
    assert "error at stage reference" in fast_run.failure(f"order.py::{fast}")


def test_a_precision_is_a_column_of_the_matrix(fast_run: Run) -> None:
    table = fast_run.stdout.partition("compatibility matrix")[2]
    assert re.search(r"torch +\+fast +openvino +\+fast", table)


def test_the_references_of_fast_cells_are_made_when_one_asks(
    tmp_path: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = runs.write(tmp_path / "project", {"net.py": FAST_FILES["net.py"]})
    monkeypatch.setenv("MODELCONFORM_CACHE", str(tmp_path / "cache"))
    made = []
    for precisions in ("full", "full,fast", "fast"):
        run = runs.run_here(pytester, folder, f"--modelconform-precisions={precisions}", runtimes="torch")
        assert run.status == 0, run.stdout
        made.append(len(list((tmp_path / "cache" / "references").iterdir())))
    # The case's; then one more.
    assert made == [1, 2, 2]
