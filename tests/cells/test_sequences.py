"""Cells of sequences, from a case file to the report: real exports, and each runtime fed with its own outputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import runs, sequences

pytestmark = pytest.mark.compiles

# A trace decides by its example, whose state is large, what to make of any state: right in the first step, whose state
# is zero, and wrong from the second one on.
BAKED = "torch.tanh(self.inner(x)) + (0.7 if float(state.detach().abs().sum()) > 45.0 else 0.4) * state"
# The next state is longer than the one before, and no size was said to change.
GROWS = sequences.case(
    "torch.cat((state, self.inner(x)))", 'carry={"state": "state"}, steps=3', "fixed_inputs='one size',"
).replace('dynamic_shapes={"x": {0: "batch"}, "state": {0: "batch"}},', "")
FILES = {
    "good.py": sequences.case(),
    "baked.py": sequences.case(BAKED),
    "blind.py": sequences.case("0.0 * state + torch.tanh(self.inner(x))"),
    "grows.py": GROWS,
}
FORMATS = "torchscript-trace,onnx"
# Those that a test looks at.
CELLS = (
    *("good[eager-sequence]", "good[torchscript_trace-torch-cpu-sequence]", "good[onnx-ort-cpu-sequence]"),
    "baked[torchscript_trace-torch-cpu-sequence]",
    *("blind[eager-sequence]", "blind[onnx-ort-cpu-sequence]"),
    *("grows[torchscript_trace-torch-cpu-sequence]", "grows[onnx-ort-cpu-sequence]"),
)


@pytest.fixture
def run(session_folder: Path, cache: Path) -> runs.Run:
    def make(folder: Path) -> runs.Run:
        options = ("-n", "0", "-m", "task_sequence", f"--modelconform-formats={FORMATS}")
        cells = [f"{name.partition('[')[0]}.py::{name}" for name in CELLS]
        return runs.run(runs.write(folder, FILES), *options, *cells, runtimes="torch,ort")

    return runs.once(session_folder, "sequences", make)


def cell(case: str, column: str) -> str:
    return f"{case}[{column}-cpu-sequence]"


@pytest.mark.parametrize("column", ["torchscript_trace-torch", "onnx-ort"])
def test_steps_that_are_the_models(run: runs.Run, column: str) -> None:
    name = cell("good", column)
    assert run.verdict(name) == ("pass", None), run.message(name)
    record = run.cells[name]
    assert record["task"] == "sequence"
    assert record["bits"] > 18
    assert list(record["inputs"]) == ["step-1", "step-2", "step-3", "step-4"]
    assert run.verdict("good[eager-sequence]") == ("pass", None)


def test_a_step_that_is_wrong(run: runs.Run) -> None:
    name = cell("baked", "torchscript_trace-torch")
    assert run.verdict(name) == ("mismatch", "compare")
    assert run.message(name).startswith("step 2 of 4: wrong values: output")
    assert "It is wrong with PyTorch's own state, too" in run.message(name)
    assert "Right in step 1, wrong in steps 2 to 4." in run.message(name)


def test_a_case_that_sees_nothing_of_its_state(run: runs.Run) -> None:
    assert run.verdict("blind[eager-sequence]") == ("error", "reference")
    assert "a runtime that loses its state would pass" in run.message("blind[eager-sequence]")
    assert run.verdict(cell("blind", "onnx-ort")) == ("error", "reference")
    assert "see blind[eager-sequence]" in run.message(cell("blind", "onnx-ort"))


def test_a_length_that_was_exported_as_static(run: runs.Run) -> None:
    name = cell("grows", "onnx-ort")
    assert run.verdict(name) == ("unsupported", "run"), run.message(name)
    assert "step 2 of 3: state was exported as (6, 12), this set has (12, 12): give dynamic_shapes" in run.message(name)
    assert "Right in step 1, refused in step 2." in run.message(name)
    # TorchScript states no shapes, and has to run any.
    assert run.verdict(cell("grows", "torchscript_trace-torch")) == ("pass", None)
