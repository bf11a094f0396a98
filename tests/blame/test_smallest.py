"""The search for the smallest case that is red, on sketches and faults that are made up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_modelconform.blame.sketch import INPUT, LIKE, PARAMETER, PLAIN, REAL, Choice, Sketch
from pytest_modelconform.blame.smallest import smallest
from pytest_modelconform.blame.trial import OutOfTime
from tests.blame.sketches import line, size, value

# A linear layer: batch 8, 16 to 32 features.
SKETCH = Sketch(
    values=[value("x", INPUT, 8, 16), value("self.weight", PARAMETER, 32, 16)],
    lines=[line("linear", "torch.nn.functional.linear", "x", "self.weight", scale="2.0", ceil_mode="True")],
    returns=["linear"],
    sizes=[size(8, 1, x=0), size(16, 2, x=1, weight=1), size(32, 2, weight=0)],
)
Fault = Callable[[Choice], bool]

# By what the fault needs: the recipes of x and weight, the sizes, what is left out, and the most tries.
FAULTS: dict[str, tuple[Fault, tuple[str, str], tuple[int, int, int], set[str], int]] = {
    "nothing": (lambda c: True, (PLAIN, PLAIN), (1, 2, 2), {"scale", "ceil_mode"}, 3),
    "an argument": (
        lambda c: (0, "ceil_mode") not in c.dropped,
        (PLAIN, PLAIN),
        (1, 2, 2),
        {"scale"},
        3,
    ),
    "a size": (lambda c: c.sizes[1] >= 5, (PLAIN, PLAIN), (1, 5, 2), {"scale", "ceil_mode"}, 12),
    "the whole size": (lambda c: c.sizes[2] == 32, (PLAIN, PLAIN), (1, 2, 32), {"scale", "ceil_mode"}, 12),
    "the range of its input": (
        lambda c: c.recipes["x"] != PLAIN,
        (LIKE, PLAIN),
        (1, 2, 2),
        {"scale", "ceil_mode"},
        12,
    ),
    "the model's own input": (
        lambda c: c.recipes["x"] == REAL,
        (REAL, PLAIN),
        (1, 2, 2),
        {"scale", "ceil_mode"},
        14,
    ),
    "the model's own weight, of a size": (
        lambda c: c.recipes["self.weight"] == REAL and c.sizes[0] >= 4,
        (PLAIN, REAL),
        (4, 2, 2),
        {"scale", "ceil_mode"},
        18,
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_a_fault_needs_is_kept_and_nothing_else(name: str) -> None:
    fault, recipes, sizes, dropped, most = FAULTS[name]
    tried: list[Choice] = []

    def red(choice: Choice) -> bool:
        tried.append(choice)
        return fault(choice)

    found = smallest(SKETCH, red)
    assert found is not None
    assert fault(found)
    assert (found.recipes["x"], found.recipes["self.weight"]) == recipes
    assert found.sizes == sizes
    assert {argument for _, argument in found.dropped} == dropped
    # Each costs a cell.
    assert len(tried) == len({choice.key() for choice in tried}) <= most


def test_what_is_never_red_has_no_example() -> None:
    assert smallest(SKETCH, lambda choice: False) is None


def test_time_that_ends_leaves_the_best_so_far() -> None:
    count = 0

    def red(choice: Choice) -> bool:
        nonlocal count
        count += 1
        if count > 3:
            raise OutOfTime
        return count == 3

    found = smallest(SKETCH, red)
    assert found is not None
    assert set(found.recipes.values()) == {LIKE}


def test_a_choice_says_sizes_of_tensors_and_numbers() -> None:
    sketch = Sketch(
        values=[value("x", INPUT, 8, 16)],
        literals=[128, 3],
        sizes=[size(8, 1, x=0), size(16, 2, x=1, literals={0: 8})],
    )
    choice = Choice.first(sketch, PLAIN, small=True)
    assert choice.shape(sketch, sketch.values[0]) == [1, 2]
    assert choice.literals(sketch) == [16, 3]
    assert choice.below(sketch, "indices") == 2
    assert Choice.first(sketch, PLAIN).below(sketch, "indices") is None
