from __future__ import annotations

import pytest

from pytest_modelconform.report.upstream import is_upstream, repro
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict

ORT = Cell("net.py", "net", "onnx", "ort")


def test_the_command() -> None:
    assert repro("../my cases/net.py::net[onnx-ort-cpu]") == (
        "modelconform repro '../my cases/net.py::net[onnx-ort-cpu]' -o repro"
    )
    assert repro("a", "logs/my run.jsonl") == "modelconform repro a -o repro --log 'logs/my run.jsonl'"


@pytest.mark.parametrize("stage", Stage)
def test_what_may_be_upstreams_fault(stage: Stage) -> None:
    of_theirs = stage in (Stage.EXPORT, Stage.LOAD, Stage.RUN, Stage.COMPARE)
    assert is_upstream(ORT, Outcome(Verdict.ERROR, stage)) == of_theirs
    # The model itself, and trainings, for which no script is written.
    assert not is_upstream(Cell("net.py", "net", "eager", "eager"), Outcome(Verdict.ERROR, stage))
    assert not is_upstream(Cell("net.py", "net", "onnx", "ort", task="training"), Outcome(Verdict.ERROR, stage))
    assert not is_upstream(ORT, Outcome(Verdict.UNSUPPORTED, stage))
