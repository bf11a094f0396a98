"""Where a message says that something was raised: as PyTorch 2.14 and workers/loop.py write it."""

from __future__ import annotations

import pytest

from pytest_modelconform.blame.hints import likely, raised_at
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from pytest_modelconform.terms.program import Operator

LOOP = "while len(tokens) < self.limit and not bool(done.all()):"
# Inside torch.export itself; the user's line is told further down, and by us.
SEQ2SEQ = f"""\
GuardOnDataDependentSymNode: Could not guard on data-dependent expression Eq(u0, 1)
  at cases/plain/seq2seq.py:26, in forward: {LOOP}

Caused by: (_export/non_strict_utils.py:1377 in __torch_function__)
For more information, run with TORCH_LOGS="dynamic"

The following call raised this error:
  File "/home/me/cases/plain/seq2seq.py", line 26, in forward
    {LOOP}
"""
SSD = "GuardOnDataDependentSymNode: Could not guard\nCaused by: (torchvision/ops/boxes.py:86 in batched_nms)\n"


def failed(message: str) -> Outcome:
    return Outcome(Verdict.ERROR, Stage.EXPORT, message)


@pytest.mark.parametrize(
    ("message", "file", "line", "function", "source"),
    [
        (SEQ2SEQ, "/home/me/cases/plain/seq2seq.py", 26, "forward", LOOP),
        (SSD, "torchvision/ops/boxes.py", 86, "batched_nms", ""),
        ("ValueError: no\n  at net.py:7, in forward: return x[0]", "net.py", 7, "forward", "return x[0]"),
    ],
)
def test_the_innermost_line_that_is_not_torchs(message: str, file: str, line: int, function: str, source: str) -> None:
    place = raised_at(failed(message))
    assert place is not None
    assert (place.file, place.line, place.function, place.source) == (file, line, function, source)


def test_no_line() -> None:
    assert raised_at(failed("ValueError: no")) is None
    assert raised_at(failed("E: no\nCaused by: (_export/non_strict_utils.py:1377 in __torch_function__)")) is None


def test_the_likeliest_first() -> None:
    def operator(name: str, target: str, line: int = 0) -> Operator:
        return Operator(name=name, target=f"aten.{target}.default", call="", file="/home/me/net.py", line=line)

    operators = [
        operator("add", "add"),
        operator("cumsum", "cumsum"),
        operator("sort", "sort", 7),
        operator("stft", "stft"),
    ]
    said = "ValueError: can't do %stft; aten::sort is new, cumsum and add are not\n  at net.py:7, in forward: x.sort()"
    assert [each.name for each in likely(operators, failed(said))] == ["stft", "sort", "cumsum"]
    assert likely(operators, failed("ValueError: no\n  at net.py:7, in forward: x.sort()")) == [operators[2]]
    assert likely(operators, failed("ValueError: no")) == []
    said = "RuntimeError: Only Add and Multiply are currently supported for stablehlo.scatter"
    scatter = operator("scatter_reduce", "scatter_reduce")
    assert likely([*operators, scatter], failed(said)) == [scatter]
