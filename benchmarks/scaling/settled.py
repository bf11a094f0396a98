"""Answers in the pytest process itself, so that what is left is what collection, schedule, log and reports cost."""

from __future__ import annotations

from typing import Any

from pytest_modelconform.cells import machinery, pipeline
from pytest_modelconform.cells.case_files import Declaration, static_cases
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict

_OUTPUT = {
    "dtype": "float32", "shape": [2, 2], "bits": 23.4, "reference_bits": 23.0, "loss": 0.1, "worst": 0.7,
    "max_abs": 1e-7, "identical": False, "worst_index": [1, 1], "actual": 34.00001, "expected": 34.0,
    "histogram": [3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
}  # fmt: skip


def outcome(number: int) -> Outcome:
    """Nine of ten pass; the record is as long as a real one's."""
    inputs = {
        name: {
            "verdict": "pass",
            "bits": 23.4,
            "seconds": 0.001,
            "shapes": {"/args/0": [2, 2]},
            "outputs": {"output": dict(_OUTPUT)},
        }
        for name in ("seven", "auto-values")
    }
    seconds = {"export": 0.1, "load": 0.01, "run": 0.001}
    artifact = f"/home/somebody/.cache/pytest-modelconform/artifacts/{number:064x}/model.pt"
    common: dict[str, Any] = {
        "inputs": inputs,
        "seconds": seconds,
        "artifact": artifact,
        "artifact_bytes": 4096,
        "cached": False,
    }
    if number % 10:
        return Outcome(Verdict.PASS, bits=23.4, reference_bits=23.0, loss=0.1, worst=0.7, max_abs=1e-7, **common)
    said = (
        f"RuntimeError: the operator aten::frobnicate_{number % 70} is not there\n"
        + "  at a frame of the library\n" * 8
    )
    return Outcome(Verdict.ERROR, Stage.RUN, said, **common)


def install() -> None:
    """In the place of case hosts and runtimes."""
    numbers = iter(range(10**9))

    def declare(self: Any, path: Any) -> Declaration:
        return Declaration(static_cases(path))

    machinery.Machinery.declare = declare  # type: ignore[method-assign]
    pipeline.Pipeline.run = lambda self, ref, cell, expects=None: outcome(next(numbers))  # type: ignore[method-assign]
    pipeline.Pipeline.check = lambda self, ref: Outcome(Verdict.PASS, bits=23.0)  # type: ignore[method-assign]
