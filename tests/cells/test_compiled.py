"""What is said of a cell whose runtime compiled the model while it ran."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pytest_modelconform.cells.answers import SetResult, summarise
from pytest_modelconform.cells.compiled import of_set, told
from pytest_modelconform.cells.protocol import Compiled, CompiledPart
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict

BREAK = CompiledPart("net.py:9, in forward", "Unsupported Tensor.item() call", 2)
AGAIN = CompiledPart("net.py:7, in forward", "tensor 'x' size mismatch at index 0. expected 4, actual 1")
EAGER = CompiledPart("", "Unsupported Tensor.item() call")


def outcome(sets: Mapping[str, Compiled | None], verdict: Verdict = Verdict.PASS) -> Outcome:
    results = {name: SetResult(verdict, compiled=of_set(made)) for name, made in sets.items()}
    return told(summarise(results), results)


def test_of_runtimes_that_compile_nothing_nothing_is_said() -> None:
    found = outcome({"four": None})
    assert (found.verdict, found.compiled, found.notes) == (Verdict.PASS, None, ())
    assert "compiled" not in found.inputs["four"]


def test_what_was_compiled_is_in_the_record_and_in_notes() -> None:
    four = Compiled(graphs=2, seconds=1.5, breaks=(BREAK,))
    found = outcome({"four": four, "one": Compiled(graphs=1, seconds=0.5, recompilations=(AGAIN,), eager=(EAGER,))})
    assert found.verdict is Verdict.PASS
    assert found.compiled == {"graphs": 3, "breaks": 2, "recompilations": 1, "eager": 1, "seconds": 2.0}
    assert found.inputs["four"]["compiled"] == of_set(four)
    assert found.notes == (
        "torch.compile: 2 graph breaks: net.py:9, in forward: Unsupported Tensor.item() call",
        "torch.compile: 1 recompilation: net.py:7, in forward: tensor 'x' size mismatch at index 0. expected 4, "
        "actual 1 (for 'one')",
        "torch.compile: 1 function left to eager PyTorch: Unsupported Tensor.item() call",
    )


def test_one_graph_is_nothing_to_speak_of() -> None:
    found = outcome({"four": Compiled(graphs=1), "one": Compiled(graphs=0)})
    assert (found.verdict, found.notes) == (Verdict.PASS, ())


def test_a_reason_is_said_once_and_many_are_counted() -> None:
    again = [CompiledPart("", f"expected {size}") for size in range(5)]
    sets = {f"s{n}": Compiled(graphs=1, breaks=(BREAK,), recompilations=(again[n],)) for n in range(5)}
    breaks, recompilations = outcome(sets).notes
    assert breaks.count("net.py:9") == 1
    assert breaks.startswith("torch.compile: 10 graph breaks: ")
    assert recompilations.endswith("expected 2 (for 's2'); and 2 more")


@pytest.mark.parametrize(
    ("made", "why"),
    [
        ({"eager": (EAGER,)}, "it left all of it to eager PyTorch: Unsupported Tensor.item() call"),
        ({}, "there is nothing to compile"),
    ],
)
def test_a_pass_of_eager_pytorch_is_none_of_the_compilers(made: dict[str, Any], why: str) -> None:
    found = outcome({"four": Compiled(graphs=0, **made)})
    assert (found.verdict, found.stage) == (Verdict.UNSUPPORTED, Stage.RUN)
    assert found.message == f"torch.compile made no graph of the model, so that none of its code ran: {why}"
    # What fails, fails all the same.
    assert outcome({"four": Compiled(graphs=0, **made)}, Verdict.MISMATCH).verdict is Verdict.MISMATCH
