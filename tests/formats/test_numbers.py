"""Calls that exporters have no place for: numbers, parameters that only go by name, a dict as the last argument."""

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


class Typed(Guided):
    def forward(self, x, dtype=torch.float32, rows=slice(0, 2)):
        return self.linear(x[rows]).to(dtype)


class Passes(Guided):
    def forward(self, *args, **kwargs):
        return super().forward(*args, **kwargs)


class Lengths(Guided):
    def forward(self, x, lengths, causal=False):
        x = nn.functional.scaled_dot_product_attention(x[None], x[None], x[None], is_causal=causal)[0]
        return self.linear(x[: lengths[0]]) + lengths[1]


class Attached(Guided):
    trainer = property(lambda self: 1 / 0)

    def forward(self, x):
        return self.linear(x)


class Holds(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Attached()

    def forward(self, x):
        return self.inner(x)


class Batch(Guided):
    def forward(self, batch):
        return self.linear(batch["x"]) + batch["y"]


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
passes = Case(
    model=lambda: Passes(),
    inputs={
        "a": lambda: {"extra": {"k": torch.randn(4)}, "x": x(), "forwards": False},
        "same": lambda: {"x": x(), "forwards": False, "extra": {"k": torch.randn(4)}},
    },
)
batch = Case(model=lambda: Batch(), inputs={"a": lambda: ({"x": x(), "y": torch.randn(4)},)})
lengths = Case(model=lambda: Lengths(), inputs={"a": lambda: {"x": x(), "lengths": [2, 3], "causal": True}})
holds = Case(model=lambda: Holds(), inputs={"a": lambda: (x(),)})
other = Case(model=lambda: Default(), inputs={"a": lambda: (x(), 5.0), "b": lambda: (x(),)})
typed = Case(model=lambda: Typed(), inputs={"a": lambda: (x(),)})
unused = Case(model=lambda: Unused(), inputs={"a": lambda: (x(),)})
"""
# No others: the newer exporter takes seconds for each.
LOOKED_AT = {
    "torchscript_trace-torch": "default given named several passes batch lengths holds other",
    "onnx-ort": "batch other",
    "onnx_legacy-ort": "default given named several passes batch lengths typed unused other",
}
TRACED = "Traced through a module around the model that gives {}; do the same"
GIVES = "through a module around the model that gives guidance={}; do the same, or callers have to feed it"
BY_NAME = "gives all of forward's parameters by place, and {} can only be given by name"


@pytest.fixture
def seen(session_folder: Path) -> Run:
    def make(folder: Path) -> Run:
        runs.write(folder, {"guided.py": CASES})
        options = ("--modelconform-formats=torchscript-trace,onnx,onnx-legacy", "--modelconform-threads=0", "-n", "0")
        cells = [f"guided.py::{case}[{column}-cpu]" for column, cases in LOOKED_AT.items() for case in cases.split()]
        return runs.run(folder, *options, *cells, runtimes="torch,ort", seconds=600)

    return runs.once(session_folder, "numbers", make)


@pytest.mark.parametrize(
    ("case", "note"),
    [
        ("default", GIVES.format(3.0)),
        ("given", GIVES.format(5.0)),
        ("named", BY_NAME.format("extra")),
        ("several", BY_NAME.format("guidance")),
        ("passes", BY_NAME.format("extra, x, forwards")),
        ("batch", ""),
        ("typed", GIVES.format("torch.float32, rows=slice(0, 2, None)").replace("guidance", "dtype")),
        ("lengths", GIVES.format("[2, 3], causal=True").replace("guidance", "lengths")),
        ("unused", ""),
    ],
)
def test_the_older_onnx_exporter_has_them_as_constants_and_a_note_says_so(case: str, note: str, seen: Run) -> None:
    cell = seen.cells[f"{case}[onnx_legacy-ort-cpu]"]
    assert cell["verdict"] == "pass", cell["message"]
    assert note in str(cell["notes"])
    assert bool(note) == bool(cell["notes"])


@pytest.mark.parametrize(
    ("case", "note"),
    [
        ("default", ""),
        ("given", TRACED.format("guidance")),
        ("named", TRACED.format("extra")),
        ("several", ""),
        ("passes", TRACED.format("extra, x, forwards")),
        ("batch", ""),
        ("lengths", TRACED.format("lengths, causal")),
    ],
)
def test_a_trace_is_called_with_the_tensors_alone(case: str, note: str, seen: Run) -> None:
    cell = seen.cells[f"{case}[torchscript_trace-torch-cpu]"]
    assert cell["verdict"] == "pass", cell["message"]
    assert note in str(cell["notes"])
    assert bool(note) == bool(cell["notes"])


def test_a_trace_leaves_out_properties_that_cannot_be_read(seen: Run) -> None:
    cell = seen.cells["holds[torchscript_trace-torch-cpu]"]
    assert cell["verdict"] == "pass", cell["message"]
    assert "and Attached.trainer can't be read. Exported without" in str(cell["notes"])


def test_a_dict_as_the_last_argument_is_one_to_the_newer_onnx_exporter_too(seen: Run) -> None:
    assert seen.cells["batch[onnx-ort-cpu]"]["verdict"] == "pass"


@pytest.mark.parametrize("column", ["torchscript_trace-torch", "onnx-ort", "onnx_legacy-ort"])
def test_a_set_that_gives_another_number_is_refused(column: str, seen: Run) -> None:
    """The artifact has the exported set's, of a default, too: another one is no fault of the export."""
    cell = seen.cells[f"other[{column}-cpu]"]
    assert cell["verdict"] == "pass", cell["message"]
    assert {name: entry["verdict"] for name, entry in cell["inputs"].items() if name in "ab"} == {
        "a": "pass",
        "b": "unsupported",
    }
    assert "this set gives guidance=3.0, the exported set guidance=5.0" in cell["inputs"]["b"]["message"]
