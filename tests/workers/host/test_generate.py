"""Input sets made from a case's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.export import Dim

from pytest_modelconform.workers.host.build import leaf_shapes
from pytest_modelconform.workers.host.generate import Call, Generated, contiguous, dimension, dimensions, generate
from tests.workers.host.test_build import built


class Net(torch.nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        return x if y is None else x + y


def made(sets: dict[str, Call], spec: Any = None, again: Call | None = None) -> dict[str, Generated]:
    leaves = {key: leaf_shapes("case", key, Net(), spec, *call) for key, call in sets.items()}
    first = next(iter(sets))
    return generate(sets, first, leaves, dimensions(spec), lambda purpose: again or sets[first])


def call(*shape: int, start: int = 0) -> Call:
    count = int(torch.tensor(shape).prod())
    return (torch.arange(start, start + count, dtype=torch.float32).reshape(shape),), {}


def shape(generated: Generated) -> list[int]:
    return list(generated.inputs[0][0].shape)


def test_other_values_come_from_the_cases_own_function() -> None:
    found = made({"a": call(3)}, again=call(3, start=9))
    assert set(found) == {"auto-values", "auto-zeros"}
    assert found["auto-values"].inputs[0][0].tolist() == [9, 10, 11]
    assert not found["auto-values"].may_refuse
    # A function that always gives the same: its values in other places.
    assert made({"a": call(3)})["auto-values"].inputs[0][0].tolist() == [2, 0, 1]
    # Or another shape.
    assert made({"a": call(3)}, again=call(4))["auto-values"].inputs[0][0].tolist() == [2, 0, 1]
    # Nothing to vary.
    assert set(made({"a": ((torch.ones(3),), {})})) == {"auto-zeros"}
    # The case has such a set itself.
    assert set(made({"a": call(3), "b": call(3, start=5)})) == {"auto-zeros"}


def test_transposed_inputs() -> None:
    found = made({"a": call(2, 3, 4)}, again=call(2, 3, 4, start=5))
    turned = found["auto-transposed"]
    [x] = turned.inputs[0]
    assert x.stride() == (1, 2, 6)
    assert torch.equal(x, call(2, 3, 4, start=5)[0][0])
    assert turned.may_refuse
    assert contiguous(turned.inputs)[0][0].is_contiguous()
    # There is nothing to transpose in these.
    assert "auto-transposed" not in made({"a": call(1, 5)})
    assert "auto-transposed" not in made({"a": call(5)})


def test_zeros_for_all_numbers() -> None:
    sets: dict[str, Call] = {"a": ((torch.ones(2, 3), torch.arange(2)), {})}
    found = made(sets)["auto-zeros"]
    x, index = found.inputs[0]
    assert x.tolist() == [[0, 0, 0], [0, 0, 0]]
    assert index.tolist() == [1, 0]
    assert not found.may_refuse
    # Integers have no such set, and a case may have it itself.
    assert "auto-zeros" not in made({"a": ((torch.arange(6),), {})})
    assert "auto-zeros" not in made({"a": call(3), "b": ((torch.zeros(3),), {})})


def test_sizes_that_no_set_has() -> None:
    spec = {"x": {0: "batch", 1: "length"}}
    found = made({"a": call(2, 7)}, spec)
    assert shape(found["auto-shape"]) == [3, 9]
    assert found["auto-shape"].why == "other sizes: batch = 3, length = 9"
    assert not found["auto-shape"].may_refuse
    # No bound is given: one that doesn't take such a length keeps within what was asked for.
    assert shape(found["auto-least"]) == [1, 2]
    assert found["auto-least"].may_refuse
    assert "auto-most" not in found
    # What the case's own sets vary isn't varied again.
    found = made({"a": call(2, 7), "b": call(3, 9)}, spec)
    assert "auto-shape" not in found
    assert "auto-shape" in made({"a": call(2, 7), "b": call(3, 7)}, spec)
    assert "auto-least" not in made({"a": call(2, 7), "b": call(1, 2)}, spec)
    # A sequence of integers may be as short as one.
    ids: dict[str, Call] = {"a": ((torch.arange(14).reshape(2, 7),), {})}
    assert shape(made(ids, spec)["auto-least"]) == [1, 1]


def test_added_rows_are_other_rows() -> None:
    """Of every tensor from the same draw: a mask fits its row. Repeated ones would not be missed in a maximum."""
    draws = {"anew": 100.0, "added": 200.0}

    def draw(purpose: str) -> Call:
        x = draws[purpose] + torch.arange(6.0).reshape(2, 3)
        return (x, (x[:, 0] % 2 == 0)), {}

    sets: dict[str, Call] = {"a": ((torch.zeros(2, 3), torch.ones(2, dtype=torch.bool)), {})}
    spec = {"x": {0: Dim("batch", max=5), 1: Dim("length", max=4)}, "y": {0: "batch"}}
    leaves = {key: leaf_shapes("case", key, Net(), spec, *call) for key, call in sets.items()}
    found = generate(sets, "a", leaves, dimensions(spec), draw)["auto-most"]
    x, mask = found.inputs[0]
    one, other = [100, 101, 102, 200], [103, 104, 105, 203]
    beyond, further = [200, 201, 202, 100], [203, 204, 205, 103]
    assert x.tolist() == [one, other, beyond, further, one]
    assert mask.tolist() == [row[0] % 2 == 0 for row in x.tolist()]
    # A function that always gives the same: its values, beyond those in other places.
    fixed = made({"a": call(2, 3)}, {"x": {0: "batch"}})["auto-shape"].inputs[0][0]
    assert fixed.tolist() == [[2, 0, 1], [5, 3, 4], [0, 1, 2]]


def test_sizes_at_their_bounds() -> None:
    found = made({"a": call(4, 7)}, {"x": {0: Dim("batch", min=3, max=6), 1: Dim("length", min=2, max=16)}})
    assert shape(found["auto-least"]) == [3, 2]
    assert not found["auto-least"].may_refuse
    assert shape(found["auto-most"]) == [6, 16]
    assert found["auto-most"].why == "the greatest sizes: batch = 6, length = 16"
    # No size beyond a bound.
    assert shape(made({"a": call(4, 7)}, {"x": {0: Dim("b", max=4), 1: Dim("l", max=7)}})["auto-least"]) == [1, 2]
    assert "auto-shape" not in made({"a": call(4, 7)}, {"x": {0: Dim("b", max=4), 1: Dim("l", max=7)}})


def test_what_the_cases_own_sets_have_is_asked_for() -> None:
    spec = {"x": {0: "batch", 1: Dim("length", min=3)}}
    # A batch of one is nowhere asked for, and the set has it.
    assert made({"a": call(4, 7), "b": call(2, 8)}, spec)["auto-least"].may_refuse
    found = made({"a": call(4, 7), "b": call(1, 8)}, spec)["auto-least"]
    assert shape(found) == [1, 3]
    assert not found.may_refuse
    # Without a bound the least length is nobody's.
    assert made({"a": call(4, 7), "b": call(1, 8)}, {"x": {0: "batch", 1: "length"}})["auto-least"].may_refuse


def test_a_set_that_is_too_large_is_left_out() -> None:
    assert "auto-most" not in made({"a": call(4, 4096)}, {"x": {0: Dim("batch", max=100_000)}})


def test_derived_dimensions_follow_their_root() -> None:
    found = made({"a": call(2, 8)}, {"x": {0: "batch", 1: 4 * Dim("quarter", min=2)}})
    assert shape(found["auto-shape"]) == [3, 16]
    assert shape(found["auto-least"]) == [1, 8]
    assert shape(made({"a": call(2, 8)}, {"x": {0: "batch", 1: 4 * Dim("quarter")}})["auto-least"]) == [1, 8]
    assert dimension(4 * Dim("quarter"), "4*quarter").root_of(9) is None
    # A length that doesn't come from any root: nothing is known of it.
    assert set(made({"a": call(2, 9)}, {"x": {1: 4 * Dim("quarter")}})) == {
        "auto-values",
        "auto-transposed",
        "auto-zeros",
    }


def test_a_dimension_shared_by_two_inputs() -> None:
    sets: dict[str, Call] = {"a": ((call(2, 3)[0][0], call(2, 3)[0][0]), {})}
    found = made(sets, {"x": {0: "batch"}, "y": {0: "batch"}})["auto-shape"]
    assert [list(value.shape) for value in found.inputs[0]] == [[3, 3], [3, 3]]


def test_automatic_dimensions() -> None:
    assert shape(made({"a": call(2, 3)}, {"x": {0: Dim.AUTO}})["auto-shape"]) == [3, 3]


TWO = "inputs={'a': lambda: (torch.rand(2, 3),)}, dynamic_shapes={'x': {0: 'batch'}}"


def test_a_case_gets_them(tmp_path: Path) -> None:
    found = built(tmp_path, f"model=lambda: Net(), {TWO}")
    assert list(found.inputs) == ["a", "auto-values", "auto-transposed", "auto-shape", "auto-least", "auto-zeros"]
    assert set(found.generated) == set(found.inputs) - {"a"}
    assert not torch.equal(found.inputs["a"][0][0], found.inputs["auto-values"][0][0])
    assert found.exporter_set == "a"


@pytest.mark.parametrize("fields", ["fixed_inputs='one size only'", "accept={'layout': 'reads channels_last'}"])
def test_a_case_may_do_without(tmp_path: Path, fields: str) -> None:
    found = built(tmp_path, f"model=lambda: Net(), {TWO}, {fields}")
    assert "auto-transposed" not in found.inputs
    assert (list(found.inputs) == ["a"]) == ("fixed_inputs" in fields)
