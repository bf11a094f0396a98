"""What users are told of models that torch.jit.script or a trace refuses, and whether it helps."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelconform.advice.failure import Failure
from pytest_modelconform.advice.table import advice
from pytest_modelconform.terms.outcome import Stage
from tests.support.fakes import REPOSITORY
from tests.support.refusals import export, said

pytestmark = [pytest.mark.compiles, pytest.mark.filterwarnings("ignore")]
FILE = REPOSITORY / "tests" / "support" / "scripted.py"

# A case, the format that refuses it, what the advice says, and the cases (of the same format) that follow it.
SCRIPT, TRACE = "torchscript-script", "torchscript-trace"
TOLD = [
    ("named", SCRIPT, "takes no `*args` and `**kwargs`", ["written"]),
    ("scaled", SCRIPT, "`super().forward(…)`. Write out what the parent does", ["scaled_itself"]),
    ("normed", SCRIPT, "`torch.nn.utils.parametrizations.weight_norm`", ["normed_newly", "normed_before"]),
    ("spectral", SCRIPT, "`torch.nn.utils.remove_spectral_norm(layer)`", ["spectral_before"]),
    ("configured", SCRIPT, "and can't compile Config", ["configured_before"]),
    ("told", SCRIPT, "return tuples or a NamedTuple", ["told_plainly"]),
    ("imported", SCRIPT, "put it at the top of the file", []),
    ("tried", SCRIPT, "without try blocks", []),
    ("annotated", SCRIPT, "It has no Net", []),
    ("global_number", SCRIPT, "sees no float that stands at the top of the file", ["global_not"]),
    ("causal", TRACE, "`is_causal=bool(…)`", ["causal_flag"]),
    ("causal", "onnx-legacy", "`is_causal=bool(…)`", ["causal_flag"]),
    ("sparse", "export", "Keep it dense", ["dense"]),
]
# What a script refuses can be traced, as the advice says.
TRACED = ["named", "scaled", "normed", "spectral", "configured", "imported", "tried", "annotated"]


@pytest.mark.parametrize(
    ("case", "format_name", "words", "fixed"), TOLD, ids=[f"{case}-{format_name}" for case, format_name, *_ in TOLD]
)
def test_real_errors_of_exporters(case: str, format_name: str, words: str, fixed: list[str], tmp_path: Path) -> None:
    failure = said(lambda: export(FILE, case, format_name, tmp_path / "refused"))
    assert words in str(advice(failure)), failure.message
    for name in fixed:
        export(FILE, name, format_name, tmp_path / name)


@pytest.mark.parametrize("case", TRACED)
def test_what_a_script_refuses_is_traced(case: str, tmp_path: Path) -> None:
    export(FILE, case, TRACE, tmp_path / "made")
    assert (tmp_path / "made" / "model.pt").exists()


@pytest.mark.parametrize(
    "said_of_it",
    [
        "RuntimeError: method->set_inputs() for method 'forward' failed with error 0x10: Attempted to resize a bounded "
        "tensor with a maximum capacity of 24 elements to 40 elements.",
        "RuntimeError: method->execute() failed with error 0x12: Attempted to resize a static tensor. Expected shape "
        "(3, 4), but received (1, 4). (aten::split_with_sizes_copy.out)",
    ],
)
def test_a_size_that_executorch_fixes(said_of_it: str) -> None:
    """As the cell of `x.chunk(2, -1)` says it (docs/findings.md, "Halves of a dynamic batch")."""
    assert "`x[..., :n]` and `x[..., n:]`" in str(advice(Failure(Stage.RUN, said_of_it)))
    other = said_of_it.replace("split_with_sizes_copy", "arange").replace("bounded", "static")
    assert advice(Failure(Stage.RUN, other)) is None
