"""What formats ask of an ExportedProgram, and what they tell their runtimes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.export import Dim

from pytest_modelconform.formats import litert, program
from pytest_modelconform.formats.dropped_operators import Dropped, tolerated
from pytest_modelconform.workers.host.build import Built, build, with_dims

CASE = """\
import torch

from pytest_modelconform import Case, generic_weights


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 2)
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x, times, pair, shift=None):
        self.seen.add_(1)
        return {"y": self.linear(x) * times, "none": None, "n": 3, "sum": pair[0] + pair[1]}


case = Case(
    model=lambda: generic_weights(Net()),
    inputs={
        "two": lambda: (torch.rand(2, 3), 5, [torch.rand(4), torch.rand(4)]),
        "six": lambda: (torch.rand(6, 3), 5, [torch.rand(12), torch.rand(12)]),
    },
    dynamic_shapes={"x": {0: "batch"}, "times": None, "pair": [{0: "length"}, {0: "length"}]},
    fixed_inputs="five is a constant",
)
"""


@pytest.fixture
def built(tmp_path: Path) -> Built:
    path = tmp_path / "program_case.py"
    path.write_text(CASE)
    return build(str(path), path.name, path.stem)


def test_a_call_with_constants(built: Built) -> None:
    found = program.exported(built)
    assert program.input_names(found) == ["x", "pair_0", "pair_1"]
    # None is no leaf for torch.export where nobody passes it; what the model writes to its buffer is no result.
    assert program.call_of(found) == {
        "call": [{"name": "x"}, {"value": 5}, {"name": "pair_0"}, {"name": "pair_1"}],
        "returns": [0, 3],
    }
    assert [(value.dtype, value.dim()) for value in program.output_values(found)] == [
        (torch.float32, 2), (torch.float32, 1),
    ]  # fmt: skip


def test_dimensions_without_a_bound_get_one(built: Built) -> None:
    shapes = program.with_bounds(built)
    batch, length = shapes["x"][0], shapes["pair"][0][0]
    assert (batch.__name__, batch.min, batch.max) == ("batch", 0, 7)
    assert (length.__name__, length.max) == ("length", 13)
    # The same dimension is the same object, as torch.export wants it.
    assert shapes["pair"][1][0] is length
    assert shapes["times"] is None
    assert built.dynamic_shapes["x"][0].max > 2**31


def test_bounds_that_are_given_are_kept(built: Built) -> None:
    half = Dim("half")
    given: Any = {"x": {0: Dim("batch", min=2, max=64)}, "times": None, "pair": [{0: 2 * half}, {0: 2 * half}]}
    given = {**given, "shift": {0: half, 1: Dim.AUTO}}
    shapes = program.with_bounds(replace(built, dynamic_shapes=with_dims(given, {})))
    assert shapes["x"][0] is given["x"][0]
    assert shapes["shift"][1] is Dim.AUTO
    # Nothing is known of a dimension that no tensor of this case has.
    assert shapes["shift"][0] is half
    assert shapes["pair"][0][0].root is half


def test_what_a_converter_cannot_make_dynamic_is_static_and_says_so(built: Built) -> None:
    asked = []

    def convert(shapes: Any) -> dict[str, Any]:
        asked.append(shapes)
        if shapes is not None:
            raise NotImplementedError("no dynamic reshape\nand so on")
        return {"inputs": [{"path": "/args/2/0", "shape": ["length"]}, {"path": "/args/0", "shape": ["batch", 3]}]}

    signature = program.dynamic_or_static(built, convert)
    assert asked == [built.dynamic_shapes, None]
    assert [value["shape"] for value in signature["inputs"]] == [[4], [2, 3]]
    assert signature["static"] == "NotImplementedError: no dynamic reshape"


def test_what_torch_export_refuses_is_no_reason_for_static_shapes(built: Built) -> None:
    class Guards(torch.nn.Module):
        def forward(self, x: torch.Tensor, times: int, pair: list[torch.Tensor]) -> torch.Tensor:
            return x + 1 if x.sum() > 0 else x

    with pytest.raises(torch.fx.experimental.symbolic_shapes.GuardOnDataDependentSymNode):
        program.dynamic_or_static(replace(built, model=Guards()), lambda shapes: {})


@pytest.mark.parametrize(
    ("paths", "listed", "names"),
    [
        # LiteRT lists outputs as text is sorted.
        ([f"/{i}" for i in range(11)], [f"output_{i}" for i in (0, 1, 10, 2, 3, 4, 5, 6, 7, 8, 9)],
         [f"output_{i}" for i in range(11)]),
        (["/y", "/best", "/more/0"], ["best", "more_0", "y"], ["y", "best", "more_0"]),
        # Neither: left to the count of outputs, which then fits or doesn't.
        (["/0"], ["a", "b"], ["a", "b"]),
    ],
)  # fmt: skip
def test_litert_names_results(paths: list[str], listed: list[str], names: list[str], built: Built) -> None:
    assert litert.output_names(replace(built, output_paths=paths), {"outputs": listed}) == names


def test_operators_that_torch_has_dropped() -> None:
    with tolerated() as met:
        found: object = torch.ops.aten.no_such_operator
        assert isinstance(found, Dropped)
        assert repr(found) == "<aten.no_such_operator, which this torch has dropped>"
        overload: object = torch.ops.aten.add.no_such_overload
        assert isinstance(overload, Dropped)
        assert isinstance(found.out, Dropped)
        assert torch.ops.aten.add.Tensor(torch.ones(1), torch.ones(1)) == 2
        # What asks whether there is an operator still gets a no.
        assert not hasattr(torch.ops.prims, "no_such_operator")
        assert not hasattr(torch.ops.aten.add, "__wrapped__")
    assert met == ["aten.no_such_operator", "aten.add.no_such_overload"]
    assert not hasattr(torch.ops.aten, "no_such_operator")
    assert not hasattr(torch.ops.aten.add, "no_such_overload")
