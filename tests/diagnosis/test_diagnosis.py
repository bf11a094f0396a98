"""Hints in whole runs, and that no diagnosis changes a verdict."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pytest_modelconform.cells.diagnosing import Diagnosis, Evidence
from pytest_modelconform.cells.stages import StageFailure
from pytest_modelconform.references.content import VariantEntry, Variants
from pytest_modelconform.terms.case import Tolerance
from pytest_modelconform.terms.cell import CaseRef, Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from pytest_modelconform.workers import arrays
from tests.support import fakes, runs, synthetic
from tests.support.runs import Run
from tests.support.synthetic import Array, faithful, numbers, reference

pytestmark = pytest.mark.compiles

# -- whole runs --------------------------------------------------------------------------------------------------------

CONFTEST = f"""\
import sys
from pathlib import Path
from types import ModuleType

sys.path.insert(0, {str(fakes.REPOSITORY)!r})

from pytest_modelconform.runtimes.base import python_worker

WORKER = Path({str(Path(synthetic.__file__).with_name("diagnosis_worker.py"))!r})


def pytest_modelconform_register(registry):
    for wrong in ("swapped", "narrow", "baked", "noisy"):
        module = ModuleType(f"wrong_{{wrong}}")
        module.NAME = f"wrong-{{wrong}}"
        module.FORMATS = ("torchscript-trace",)
        module.PRECISION_NOTE = "it computes in bfloat16 by default"
        module.command = lambda device, threads, cache, progress, wrong=wrong: [
            "env", f"WRONG={{wrong}}", *python_worker(WORKER, device, threads)
        ]
        sys.modules[module.__name__] = module
        registry.add_runtime(module.NAME, module.__name__)
"""
CASE = """\
import torch
from torch import nn

from pytest_modelconform import Case, generic_weights


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(24, 64), nn.Linear(64, 32), nn.Linear(64, 32)

    def forward(self, x):
        hidden = torch.tanh(self.first(x))
        return self.second(hidden), self.third(hidden)


inputs = {"a": lambda: (torch.randn(16, 24),), "b": lambda: (torch.randn(16, 24),)}
case = Case(model=lambda: generic_weights(Pair()), inputs=inputs)
"""
EXPECTED = """\
[[expect]]
cell = "known.py::known[torchscript_trace-wrong_baked-cpu]"
verdict = "mismatch"
stage = "compare"
reason = "known"
"""
NAMES = ("swapped", "narrow", "baked", "noisy")


def cell(name: str) -> str:
    return f"pair[torchscript_trace-wrong_{name}-cpu]"


@pytest.fixture
def wrong(session_folder: Path) -> Run:
    """One case in all of the wrong runtimes, and one in that of which it is known."""

    def make(folder: Path) -> Run:
        runs.write(folder, {"pair.py": CASE, "known.py": CASE, "conftest.py": CONFTEST, "expected.toml": EXPECTED})
        names = ",".join(f"wrong-{name}" for name in NAMES)
        return runs.run(folder, "-k", "not known or baked", runtimes=names)

    return runs.once(session_folder, "diagnosis", make)


def test_all_are_mismatches(wrong: Run) -> None:
    assert wrong.status == 1
    assert {name: wrong.verdict(cell(name)) for name in NAMES} == dict.fromkeys(NAMES, ("mismatch", "compare"))
    assert "no diagnosis" not in str(wrong.report)


def test_outputs_in_another_order(wrong: Run) -> None:
    hint = "output[0] is the model's output[1] and the reverse"
    assert wrong.cells[cell("swapped")]["hints"] == [hint]
    assert wrong.cells[cell("swapped")]["message"].endswith(f"\nlikely cause: {hint}")
    assert f"  likely cause: {hint}" in wrong.failure(f"pair.py::{cell('swapped')}").splitlines()


def test_bfloat16_is_named(wrong: Run) -> None:
    first, *more = wrong.cells[cell("narrow")]["hints"]
    # Of the ways to compute in it, more than one may come to the same.
    assert first.startswith("computed with bfloat16 ")
    assert first.endswith("(it computes in bfloat16 by default)")
    assert len(more) == 1
    assert "has bfloat16 numbers only: the output was rounded to bfloat16, or computed in it" in more[0]


def test_a_constant_that_was_baked_in(wrong: Run) -> None:
    [hint] = wrong.cells[cell("baked")]["hints"]
    assert hint == (
        "each of output[0] and output[1] is what the model gives for input set 'a', the one that was exported: a "
        "constant was baked in"
    )


def test_noise_is_not_explained(wrong: Run) -> None:
    record = wrong.cells[cell("noisy")]
    assert (record["hints"], record["notes"]) == ([], [])
    assert "likely cause" not in record["message"]


def test_what_is_recorded_is_not_diagnosed(wrong: Run) -> None:
    name = cell("baked").replace("pair", "known")
    assert wrong.verdict(name) == ("mismatch", "compare")
    assert wrong.cells[name]["expected"] is True
    assert wrong.cells[name]["hints"] == []


# -- what can go wrong -------------------------------------------------------------------------------------------------

TREE = {"tuple": [{"tensor": "/0"}]}
CELL = Cell("a.py", "a", "onnx", "ort")
REF = CaseRef(Path("a.py"), "a.py", "a")
OUTCOME = Outcome(Verdict.MISMATCH, Stage.COMPARE, "input set 'first': other numbers", notes=("a note",))
R = numbers(12, 40)
NOISE = faithful(R + 0.1 * numbers(12, 40, seed=3))


class FakeExports:
    """Has one variant, the model's outputs plus 0.1 times some noise, or fails."""

    def __init__(self, error: Exception | None = None, variant: Array | None = None) -> None:
        self.error, self.variant, self.asked = error, variant, 0
        runtime = SimpleNamespace(NARROWS={"int64": "int32"}, PRECISION_NOTE="")
        self.registry = SimpleNamespace(runtime=lambda name: runtime)

    def variants(self, ref: CaseRef, prepared: Any, name: str, folder: Path, seconds: float) -> Variants:
        self.asked += 1
        self.seconds = seconds
        if self.error:
            raise self.error
        arrays.write(folder / "v", {"/0": NOISE if self.variant is None else self.variant})
        variant = VariantEntry(name="v", kind="cause", sentence="it is noisy", file="v")
        return Variants(variants=[variant], skipped={})


def evidence(r: Array, y: Array, left: float = 100.0, *again: Array) -> Evidence:
    entry = SimpleNamespace(outputs=TREE, references={"[0]": reference(r)}, shapes={}, names={})
    content = SimpleNamespace(exporter_set="first")
    prepared = SimpleNamespace(content=content, sets={"first": entry}, key="key")
    found = [(TREE, {"/0": array}) for array in (y, *again)]
    return Evidence(prepared, Tolerance(), {"first": found}, SimpleNamespace(left=left))  # type: ignore[arg-type]


def explained(exports: Any, tmp_path: Path, given: Evidence | None) -> Outcome:
    return Diagnosis(exports, tmp_path).explained(REF, CELL, OUTCOME, given)


def test_a_variant_explains(tmp_path: Path) -> None:
    hint = "it is noisy: the outputs are 19 bits nearer to that than to the model's"
    found = explained(FakeExports(), tmp_path, evidence(R, NOISE))
    assert (found.hints, found.notes) == ((hint,), ("a note",))
    assert found.message == f"{OUTCOME.message}\nlikely cause: {hint}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error",
    [StageFailure(Stage.COMPARE, Verdict.TIMEOUT, "case host gave no answer\nand more"), KeyError("variants")],
    ids=["timeout", "lie"],
)
def test_a_failure_is_a_note_and_no_verdict(tmp_path: Path, error: Exception) -> None:
    found = explained(FakeExports(error), tmp_path, evidence(R, NOISE))
    says = {"StageFailure": "case host gave no answer", "KeyError": "'variants'"}[type(error).__name__]
    assert found == replace(OUTCOME, notes=("a note", f"no diagnosis: {type(error).__name__}: {says}"))


def test_evidence_that_makes_no_sense_is_a_note(tmp_path: Path) -> None:
    given = replace(evidence(R, NOISE), runs={"first": [({"blob": 1}, {})]})
    found = explained(FakeExports(), tmp_path, given)
    assert found.verdict is Verdict.MISMATCH
    assert found.notes[1].startswith("no diagnosis: ValueError: output isn't a tree")


def test_the_host_is_asked_once_for_each_input_set(tmp_path: Path) -> None:
    for exports, hints in ((FakeExports(), 1), (FakeExports(OSError("full")), 0)):
        diagnosis = Diagnosis(exports, tmp_path)  # type: ignore[arg-type]
        for _ in range(3):
            found = diagnosis.explained(REF, CELL, OUTCOME, evidence(R, NOISE))
            assert len(found.hints) == hints
        assert exports.asked == 1


def test_the_host_is_not_asked_where_the_numbers_tell(tmp_path: Path) -> None:
    exports = FakeExports()
    assert explained(exports, tmp_path, evidence(R, faithful(2 * R))).hints == (
        "output[0] has the model's values times 2",
    )
    assert exports.asked == 0


def test_time_is_what_is_left_of_the_cells(tmp_path: Path) -> None:
    exports = FakeExports()
    assert explained(exports, tmp_path, evidence(R, NOISE, -1.0)) == OUTCOME
    assert explained(exports, tmp_path, evidence(R, NOISE, 0.5)) == OUTCOME
    assert exports.asked == 0
    for left, most in ((30.0, 30.0), (1000.0, 60.0)):
        begin = time.monotonic()
        explained(exports, tmp_path, evidence(R, NOISE, left))
        assert most - (time.monotonic() - begin) <= exports.seconds + 1e-3 <= most + 1e-2


def test_without_evidence_nothing_is_said(tmp_path: Path) -> None:
    assert explained(FakeExports(), tmp_path, None) == OUTCOME
    assert explained(FakeExports(), tmp_path, replace(evidence(R, NOISE), runs={})) == OUTCOME


def test_a_later_run_may_be_the_wrong_one(tmp_path: Path) -> None:
    found = explained(FakeExports(), tmp_path, evidence(R, faithful(R), 100.0, faithful(R + 1)))
    assert found.hints == ("output[0] has the model's values plus 1",)


def test_dtypes_that_a_runtime_narrows_are_no_cause(tmp_path: Path) -> None:
    integers = np.arange(480).reshape(12, 40) * 7 % 480
    wrong = (integers + 1).astype(np.int32)
    found = explained(FakeExports(variant=integers), tmp_path, evidence(integers, wrong))
    assert found.hints == ("output[0] has the model's values plus 1",)
