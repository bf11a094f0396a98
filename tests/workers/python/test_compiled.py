"""What the worker of torch.compile says of graphs, graph breaks, recompilations and what is left to eager PyTorch.

By Dynamo alone, whose graphs eager PyTorch runs: nothing here compiles C++.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pytest_modelconform.workers.host.build import build
from pytest_modelconform.workers.python import compile_worker, compiled


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    torch._dynamo.reset()
    compiled.forget()
    with torch._dynamo.config.patch(recompile_limit=torch._dynamo.config.recompile_limit):
        yield
    torch._dynamo.reset()


class Whole(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x + 1).tanh()


class Broken(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x + 1
        if y.sum().item() > 1e6:
            y = y * 2
        return y.tanh()


class Eager(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        for _ in range(2):
            if x.sum().item() > 1e6:
                x = x * 2
        return x.tanh()


def called(model: nn.Module, dynamic: dict[str, list[int]], *batches: int, **options: Any) -> list[dict[str, Any]]:
    """What each call with a batch of so many made."""
    call = compile_worker.compile_model(model, options, dynamic, backend="eager")
    found = []
    for batch in batches:
        compiled.forget()
        x = torch.ones(batch, 3)
        with torch.no_grad():
            assert torch.equal(call(x), model(x))
        found.append(compiled.summary())
    return found


@pytest.mark.parametrize(
    ("model", "graphs", "breaks", "eager"),
    [(Whole, 1, 0, 0), (Broken, 2, 1, 0), (Eager, 0, 0, 1)],
)
def test_graphs_breaks_and_what_is_left_to_eager(model: type[nn.Module], graphs: int, breaks: int, eager: int) -> None:
    first, second = called(model(), {}, 4, 4)
    assert (first["graphs"], len(first["breaks"]), len(first["eager"])) == (graphs, breaks, eager)
    assert first["recompilations"] == []
    # What has been compiled is there for the second call.
    assert {name: found for name, found in second.items() if found} == {}
    for part in (*first["breaks"], *first["eager"]):
        assert part["where"].startswith("tests/workers/python/test_compiled.py:")
        assert part["where"].endswith(", in forward")
        assert part["reason"].startswith("Unsupported Tensor.item() call")
        # What to do, in Dynamo's words.
        assert "(Set `torch._dynamo.config.capture_scalar_outputs = True` or " in part["reason"]
        assert part["times"] == 1


def test_another_size_is_a_recompilation_unless_the_case_lets_it_vary() -> None:
    static = called(Whole(), {}, 4, 7)
    assert [(made["graphs"], len(made["recompilations"])) for made in static] == [(1, 0), (1, 1)]
    assert static[1]["recompilations"][0]["reason"] == "tensor 'x' size mismatch at index 0. expected 4, actual 7"
    torch._dynamo.reset()
    dynamic = called(Whole(), {"/args/0": [0]}, 4, 7)
    assert [(made["graphs"], len(made["recompilations"])) for made in dynamic] == [(1, 0), (0, 0)]


def test_more_sizes_are_compiled_than_dynamo_does_by_itself() -> None:
    with torch._dynamo.config.patch(automatic_dynamic_shapes=False):
        usual = torch._dynamo.config.recompile_limit
        found = called(Whole(), {}, *range(2, usual + 5))
    assert [made["graphs"] for made in found] == [1] * (usual + 3)
    assert not any(made["eager"] for made in found)


def test_one_graph_is_asked_for() -> None:
    with pytest.raises(torch._dynamo.exc.UserError, match="data-dependent"):
        called(Broken(), {}, 4, fullgraph=True)
    assert called(Whole(), {}, 4, fullgraph=True)[0]["graphs"] == 1


def test_cuda_graphs_are_asked_for_and_each_call_begins_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    steps: list[str] = []

    def compile_(model: nn.Module, **options: Any) -> nn.Module:
        asked.update(options)
        return model

    monkeypatch.setattr(torch, "compile", compile_)
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: steps.append("begun"))
    called(Whole(), {}, 4, 4, mode="reduce-overhead")
    assert (asked, steps) == ({"backend": "eager", "mode": "reduce-overhead"}, ["begun", "begun"])
    called(Whole(), {}, 4)
    assert len(steps) == 2


def test_hints_that_say_nothing_of_the_model_are_left_out() -> None:
    text = "Attempted to wrap\n  Explanation: why\n  Hint: Please report an issue to PyTorch.\n  Hint: Set x=True.\n\n"
    assert compiled._said(text) == "Attempted to wrap (Set x=True.)"
    assert compiled._said("Attempted to wrap\n  Hint: This graph break is fundamental.\n") == "Attempted to wrap"


def test_paths_of_a_call() -> None:
    one, two, three = torch.zeros(1), torch.zeros(2), torch.zeros(3)
    call = {"args": (one, 5), "kwargs": {"state": [two, {"k": three}], "none": None}}
    found = dict(compile_worker.leaves(call, ""))
    assert list(found) == ["/args/0", "/kwargs/state/0", "/kwargs/state/1/k"]


@pytest.mark.parametrize(
    ("file", "function", "said"),
    [
        ("/env/lib/python3.11/site-packages/transformers/bert.py", "forward", "transformers/bert.py:9, in forward"),
        ("/elsewhere/net.py", "torch_dynamo_resume_in_forward_at_12", "net.py:9, in forward"),
        ("/env/lib/python3.11/site-packages/torch/_dynamo/external_utils.py", "inner", ""),
        ("<eval_with_key>.5", "forward", ""),
    ],
)
def test_places(file: str, function: str, said: str) -> None:
    assert compiled.place(file, 9, function) == said


def test_a_model_is_built_with_the_operators_that_its_case_names(tmp_path: Path) -> None:
    (tmp_path / "compiled_ops.py").write_text(
        "import torch\n\n"
        "@torch.library.custom_op('compiledtest::twice', mutates_args=())\n"
        "def twice(x: torch.Tensor) -> torch.Tensor:\n    return 2 * x\n"
    )
    (tmp_path / "net.py").write_text(
        "import torch\nfrom pytest_modelconform import Case, Operators\n\n"
        "class Net(torch.nn.Module):\n    def forward(self, x):\n"
        "        return torch.ops.compiledtest.twice(x)\n\n"
        "own = Operators(torch=('compiled_ops.py',))\n"
        "case = Case(model=Net, inputs={'a': lambda: (torch.ones(2),)}, operators=own)\n"
    )
    file = str(tmp_path / "net.py")
    asked = {"file": file, "relative": "net.py", "case": "net", "dtype": "float32", "path": [str(tmp_path)]}
    digest = build(file, "net.py", "net").digest
    asked |= {"operators": [str(tmp_path / "compiled_ops.py")], "digest": digest}
    model, _ = compile_worker.built(asked, "cpu")
    assert torch.equal(model(torch.ones(2)), torch.full((2,), 2.0))
