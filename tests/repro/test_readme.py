"""What a report says of whom it concerns, and that nothing in it breaks its Markdown."""

from __future__ import annotations

import pytest

from pytest_modelconform.repro.concern import Concern, Party
from pytest_modelconform.repro.projects import CONVERTER, EXPORTER, RUNTIME, Project
from pytest_modelconform.repro.readme import fenced, whom

TRACE = Project("PyTorch", EXPORTER, "torch.jit.trace", "https://pytorch")
TORCH = Project("PyTorch", RUNTIME, "torch", "https://pytorch")
ORT = Project("ONNX Runtime", RUNTIME, "ort", "https://ort")
MNN = Project("MNN", CONVERTER, "MNN's converter")


@pytest.mark.parametrize(
    ("party", "projects", "says"),
    [
        (Party.RUNTIME, [ORT], "**The runtime: ONNX Runtime (ort).** Why.\n\nReport it at https://ort."),
        (
            Party.EXPORTER,
            [TRACE],
            "**The exporter: torch.jit.trace of PyTorch.** Why.\n\nReport it at https://pytorch.",
        ),
        (Party.CONVERTER, [MNN], "**The converter: MNN's converter of MNN.** Why."),
        (
            Party.EITHER,
            [TRACE, ORT],
            "**It can't be told: the exporter (torch.jit.trace of PyTorch) or the runtime (ONNX Runtime).** Why."
            "\n\nReport it at https://pytorch or https://ort.",
        ),
        (
            Party.EITHER,
            [TRACE, TORCH],
            "**PyTorch: the exporter (torch.jit.trace) or the runtime (torch); it can't be told which.** Why."
            "\n\nReport it at https://pytorch.",
        ),
        (Party.NOBODY, [], "**There is nothing to report.** Why."),
        (Party.CASE, [], "**The case itself; no upstream project.** Why."),
    ],
)
def test_whom_it_concerns_in_words(party: Party, projects: list[Project], says: str) -> None:
    assert whom(Concern(party, "Why."), projects, "torch.export") == says


def test_what_a_trace_is_known_to_do_is_said_before_anybody_reports_it() -> None:
    concern = Concern(Party.EXPORTER, "Why.", specialised=True)
    assert "TracerWarning" in whom(concern, [TRACE], "torch.jit.trace")
    assert "TracerWarning" not in whom(concern, [TRACE], "torch.export")
    assert "TracerWarning" not in whom(Concern(Party.EXPORTER, "Why."), [TRACE], "torch.jit.trace")


def test_a_message_can_not_end_its_block() -> None:
    assert fenced("a ``` b") == "````\na ``` b\n````"
    assert fenced("a", "python") == "```python\na\n```"
