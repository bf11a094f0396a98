"""Cells that train, from a case file to the report: real exports, the real C++ harness."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import runs

pytestmark = pytest.mark.compiles

CASES = """\
import torch
from torch import nn

from pytest_modelconform import Case, Train, generic_weights


def model():
    return generic_weights(nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 2)))


class Other(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = model()

    def forward(self, x):
        y = self.inner(x)
        return y if torch.jit.is_tracing() and not torch.is_grad_enabled() else y * 1.0 + int(torch.jit.is_tracing())


inputs = {"four": lambda: (torch.rand(4, 3),)}
sgd = Train(loss="mse_loss", optimizer="sgd", lr=0.1, momentum=0.9, steps=4, batch_size=4)
good = Case(model=model, inputs=inputs, train=sgd)
short = Case(model=model, inputs=inputs, train=Train(loss="cross_entropy", optimizer="adam", lr=0.1, steps=1))
wrong = Case(model=lambda: Other(), inputs=inputs, train=sgd)
unfit = Case(model=model, inputs=inputs, train=Train(loss="mse_loss", optimizer="sgd", lr=1e30, steps=4))
"""


@pytest.fixture
def run(session_folder: Path, cache: Path) -> runs.Run:
    def make(folder: Path) -> runs.Run:
        options = ("-n", "0", "-k", "gradients or training or resume")
        return runs.run(runs.write(folder, {"trained.py": CASES}), *options, runtimes="libtorch-cpp")

    return runs.once(session_folder, "training", make)


def cell(case: str, task: str) -> str:
    return f"{case}[torchscript_trace-libtorch_cpp-cpu-{task}]"


@pytest.mark.parametrize("task", ["gradients", "training", "resume"])
def test_a_training_that_is_the_models(run: runs.Run, task: str) -> None:
    assert run.verdict(cell("good", task)) == ("pass", None), run.message(cell("good", task))
    record = run.cells[cell("good", task)]
    assert record["task"] == task
    assert record["bits"] > 15
    assert record["seconds"]["run"] > 0
    assert list(record["inputs"]) == {"resume": ["from-eager", "to-eager"]}.get(task, [task])
    assert run.verdict("good[eager-training]") == ("pass", None)


def test_one_step_has_no_checkpoint_in_between(run: runs.Run) -> None:
    name = cell("short", "resume")
    assert run.verdict(name) == ("unsupported", "run")
    assert "a training of one step has no checkpoint in between: give Train(steps=…) two or more" in run.message(name)
    assert run.verdict(cell("short", "training")) == ("pass", None)


def test_a_wrong_training_is_named_by_its_parameters(run: runs.Run) -> None:
    assert run.verdict(cell("wrong", "gradients")) == ("mismatch", "compare")
    assert "wrong values: gradient of inner.3.bias, element [0], is " in run.message(cell("wrong", "gradients"))
    message = run.message(cell("wrong", "training"))
    assert "parameter inner.3.bias after 4 steps, element " in message
    assert "output" not in message
    assert "resumed from eager's checkpoint: " in run.message(cell("wrong", "resume"))
    assert "its checkpoint, resumed in eager: " in run.message(cell("wrong", "resume"))


def test_a_training_that_is_not_fit(run: runs.Run) -> None:
    assert run.verdict("unfit[eager-training]") == ("error", "reference")
    assert "from which nothing can be learnt: try a smaller lr" in run.message("unfit[eager-training]")
    assert run.verdict(cell("unfit", "training")) == ("error", "reference")
    assert "see unfit[eager-training]" in run.message(cell("unfit", "training"))
