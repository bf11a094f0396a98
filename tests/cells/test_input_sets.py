"""Why an input set is refused, in words that name sizes and a remedy."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_modelconform.cells.answers import SetResult
from pytest_modelconform.cells.input_sets import InputSets
from pytest_modelconform.terms.outcome import Verdict


def sets(declared: Sequence[int | str], **shapes: list[int]) -> Any:
    """A case with one input, `image`, whose set `first` was exported."""
    made = {
        name: SimpleNamespace(name=name, shapes={"/kwargs/image": shape, "/args/0": [2]})
        for name, shape in shapes.items()
    }
    leaves = [SimpleNamespace(path="/kwargs/image", shape=declared), SimpleNamespace(path="/args/0", shape=[2])]
    return SimpleNamespace(
        judge=SimpleNamespace(
            content=SimpleNamespace(input_leaves=leaves), exported_shapes=made["first"].shapes, sets=made
        )
    )


@pytest.mark.parametrize(
    ("declared", "other", "says"),
    [
        (
            [3, 16],
            [5, 16],
            "image was exported as (3, 16), this set has (5, 16): give dynamic_shapes to export it for other sizes",
        ),
        (
            ["batch", 16],
            [5, 16],
            "this set has (5, 16): the exporter fixed a size that dynamic_shapes leaves open",
        ),
        (["batch", 16], [5, 8], "this set has (5, 8): give dynamic_shapes"),
        ([3, 16], [1, 3, 16], "this set has (1, 3, 16): give dynamic_shapes"),
        ([3, 16], [3, 16], ""),
    ],
)
def test_a_set_of_another_size(declared: list[int | str], other: list[int], says: str) -> None:
    case = sets(declared, first=[3, 16], other=other)
    said = InputSets._other_size(cast(InputSets, case), case.judge.sets["other"])
    assert says in said
    assert bool(says) == bool(said)


def test_the_report_has_the_shapes_of_a_set() -> None:
    entry = SetResult(Verdict.PASS, shapes={"/args/0": [2, 3], "/kwargs/mask": []}).to_json()
    assert entry == {"verdict": "pass", "shapes": {"/args/0": [2, 3], "/kwargs/mask": []}}
    assert SetResult(Verdict.PASS).to_json() == {"verdict": "pass"}
