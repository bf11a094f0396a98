"""Exports that fail as expected.toml records are kept; all others are tried in each run."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelconform.cache.store import Cache
from pytest_modelconform.cells import refusals
from pytest_modelconform.cells.stages import StageFailure, failure_of
from pytest_modelconform.cells.worker import WorkerCrashed, WorkerProblem, WorkerRefused, WorkerTimeout
from pytest_modelconform.terms.outcome import Stage, Verdict
from pytest_modelconform.workers import lookups
from tests.support import runs

CASE = """
import torch
from pytest_modelconform import Case

class Net(torch.nn.Module):
    def forward(self, x, *more):  # what torch.jit.script has no words for
        return 3 * x + 1

case = Case(model=Net, inputs={"two": lambda: (torch.randn(2),)})
"""
EXPECTED = """
[[expect]]
cell = "net.py::net[torchscript_script-*]"
verdict = "error"
stage = "export"
reason = "torch.jit.script takes no *args"
"""
CELL = "net[torchscript_script-torch-cpu]"


def test_a_second_run_asks_no_exporter_for_what_is_expected_to_fail(tmp_path: Path) -> None:
    folder = runs.write(tmp_path / "project", {"net.py": CASE, "expected.toml": EXPECTED})
    env = {"MODELCONFORM_CACHE": str(tmp_path / "cache")}

    def cell() -> tuple[object, ...]:
        run = runs.run(folder, "-n", "0", "--modelconform-formats=torchscript-script", runtimes="torch", env=env)
        found = run.cells[CELL]
        return run.status, found["verdict"], found["stage"], found["expected"], found["cached"], found["message"]

    first, second = cell(), cell()
    assert first[:5] == (0, "error", "export", True, None)
    assert second[:5] == (0, "error", "export", True, True)
    assert second[5] == first[5]
    # What nobody expects is tried, whatever is kept.
    (folder / "expected.toml").unlink()
    third = cell()
    assert third[:5] == (1, "error", "export", None, None)


def _failed(problem: WorkerProblem, stage: Stage = Stage.EXPORT) -> StageFailure:
    failure = failure_of(problem, stage)
    failure.__cause__ = problem
    return failure


@pytest.mark.parametrize(
    ("failure", "is_kept"),
    [
        (_failed(WorkerRefused("UnsupportedOperatorError", "aten::diff", "", "")), True),
        (_failed(WorkerRefused("RuntimeError", "g++: error: No space left on device", "", "")), False),
        (
            _failed(WorkerRefused("CppCompileError", "fatal error: Killed signal terminated program cc1plus", "", "")),
            False,
        ),
        (_failed(WorkerRefused("MemoryError", "", "", "")), False),
        (_failed(WorkerRefused("RuntimeError", "CUBLAS_STATUS_ALLOC_FAILED", "", "", on_gpu=True)), False),
        (_failed(WorkerRefused("OSError", "[Errno 5] Input/output error", "", "")), False),
        (_failed(WorkerRefused("OSError", "Failed to get source for <function f at 0x7f>", "", "")), True),
        (_failed(WorkerRefused("RuntimeError", "no", "", "build")), False),
        (_failed(WorkerCrashed("SIGSEGV")), False),
        (_failed(WorkerTimeout("no answer")), False),
        (StageFailure(Stage.EXPORT, Verdict.ERROR, "not the exporter's own word"), False),
    ],
)
def test_only_what_an_exporter_says_is_kept(tmp_path: Path, failure: StageFailure, is_kept: bool) -> None:
    cache = Cache(tmp_path)
    refusals.keep(cache, "key", failure, lookups.everything)
    found = refusals.read(cache, "key")
    assert (found is not None) is is_kept
    if found is not None:
        assert (found.stage, found.verdict, str(found)) == (failure.stage, failure.verdict, str(failure))


def test_a_refusal_counts_for_the_packages_that_it_was_made_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path)
    for message in ("one", "two"):
        refusals.keep(cache, "key", _failed(WorkerRefused("", message, "", "")), lookups.everything)
        assert str(refusals.read(cache, "key")) == message
    monkeypatch.setattr("pytest_modelconform.workers.lookups.unchanged", lambda packages: False)
    assert refusals.read(cache, "key") is None


def test_a_case_host_that_is_gone_keeps_nothing(tmp_path: Path) -> None:
    def gone() -> dict[str, object]:
        raise WorkerCrashed("SIGKILL")

    refusals.keep(Cache(tmp_path), "key", _failed(WorkerRefused("", "no", "", "")), gone)
    assert refusals.read(Cache(tmp_path), "key") is None
