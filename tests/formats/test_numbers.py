"""Numbers and parameters that only go by name, in the older ONNX exporter: it would make inputs of the former."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import runs
from tests.support.runs import Run

CASES = """\
import torch
from torch import nn

from pytest_modelconform import Case


class Guided(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x, guidance: float = 3.0, forwards: bool = True, *, extra=None):
        y = self.linear(x) * guidance
        return (y if forwards else -y) + (0 if extra is None else extra["k"])


class Default(Guided):
    def forward(self, x, guidance: float = 3.0, more=None):
        return self.linear(x) * guidance


class Unused(Guided):
    def forward(self, x, times: int = 1):
        return self.linear(x) if times == 1 else x


class Several(Guided):
    def forward(self, *xs, guidance=3.0):
        return self.linear(xs[0]) * guidance + xs[1]


def x():
    return torch.randn(3, 4)


default = Case(model=lambda: Default(), inputs={"a": lambda: (x(),)}, dynamic_shapes={"x": {0: "n"}})
given = Case(model=lambda: Default(), inputs={"a": lambda: (x(), 5.0)})
named = Case(
    model=lambda: Guided(),
    inputs={"a": lambda: {"guidance": 2, "forwards": False, "extra": {"k": torch.randn(4)}, "x": x()}},
)
several = Case(model=lambda: Several(), inputs={"a": lambda: (x(), x())})
unused = Case(model=lambda: Unused(), inputs={"a": lambda: (x(),)})
"""
GIVES = "through a module around the model that gives guidance={}; do the same, or callers have to feed it"
BY_NAME = "gives all of forward's parameters by place, and {} can only be given by name"


@pytest.fixture
def seen(session_folder: Path) -> Run:
    def make(folder: Path) -> Run:
        runs.write(folder, {"guided.py": CASES})
        options = ("--modelconform-formats=onnx-legacy", "--modelconform-threads=0", "-n", "0")
        return runs.run(folder, *options, runtimes="ort", seconds=600)

    return runs.once(session_folder, "numbers", make)


@pytest.mark.parametrize(
    ("case", "note"),
    [
        ("default", GIVES.format(3.0)),
        ("given", GIVES.format(5.0)),
        ("named", BY_NAME.format("extra")),
        ("several", BY_NAME.format("guidance")),
        ("unused", ""),
    ],
)
def test_they_are_constants_and_a_note_says_so(case: str, note: str, seen: Run) -> None:
    cell = seen.cells[f"{case}[onnx_legacy-ort-cpu]"]
    assert cell["verdict"] == "pass", cell["message"]
    assert note in str(cell["notes"])
    assert bool(note) == bool(cell["notes"])
