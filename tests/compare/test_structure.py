"""Are two structures of outputs the same, and what the messages say where not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pytest_modelconform.compare import (
    Tree,
    compare_leaves,
    compare_structure,
    flatten,
)

Array = np.ndarray[Any, Any]
Weights = dict[str, Array]
Product = Callable[[Array, Array], Array]

T: Tree = {"tensor": "t"}
NONE: Tree = {"none": True}


def sequence(*items: Tree) -> Tree:
    return {"list": list(items)}


def mapping(**items: Tree) -> Tree:
    return {"dict": [[key, item] for key, item in items.items()]}


def test_flatten_gives_python_paths() -> None:
    tree = {
        "tuple": [
            {"dict": [["boxes", {"tensor": "0/boxes"}], [3, {"list": [{"tensor": "0/three"}]}], ["n", NONE]]},
            NONE,
            {"tensor": "0/2"},
            {"value": "a string"},
            {"float": "0x1.8p+0"},
            {"list": []},
        ]
    }
    skeleton, leaves = flatten(tree)
    assert leaves == {"[0]['boxes']": "0/boxes", "[0][3][0]": "0/three", "[2]": "0/2"}
    assert flatten(skeleton)[0] == skeleton == json.loads(json.dumps(skeleton))
    assert flatten(T)[1] == {"": "t"}
    assert flatten(NONE)[1] == {}
    with pytest.raises(ValueError, match=r"output\[1\] isn't a tree: \{'tensors': 1\}"):
        flatten({"list": [T, {"tensors": 1}]})


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (T, {"tensor": "other"}),
        ({"tuple": [T, T]}, sequence(T, T)),
        (mapping(a=T, b=T), mapping(b=T, a=T)),
        (sequence(T, NONE), sequence(T)),
        (sequence(T, sequence()), sequence(T, NONE)),
        (mapping(a=T, b=NONE), mapping(a=T)),
        (sequence(T, {"float": "0x1.8p+0"}), sequence(T, {"float": "0x3p-1"})),
        (sequence({"float": "nan"}), sequence({"float": "nan"})),
        (NONE, sequence()),
    ],
)
def test_equal_structures(expected: Tree, actual: Tree) -> None:
    assert compare_structure(expected, actual) == []
    assert flatten(expected)[0] == flatten(actual)[0]


@pytest.mark.parametrize(
    ("expected", "actual", "messages"),
    [
        (sequence(T, T, T), sequence(T, T), ["returns 2 tensors, the model returns 3: output[2] is missing"]),
        (sequence(T), sequence(T, T), ["returns 2 tensors, the model returns 1: output[1] is not among the model's"]),
        (T, sequence(T), ["output is a sequence of 1, the model returns a tensor"]),
        (sequence(T), T, ["output is a tensor, the model returns a sequence of 1"]),
        (
            sequence(T, T),
            mapping(a=T, b=T),
            ["output is a dict with the keys 'a', 'b', the model returns a sequence of 2"],
        ),
        (
            sequence(T, NONE, T),
            sequence(T, T),
            ["returns 2 tensors, as the model does, but output[2] is missing, and output[1] is not among the model's"],
        ),
        (
            sequence(mapping(boxes=T, labels=T, scores=T)),
            sequence(mapping(boxes=T)),
            ["returns 1 tensor, the model returns 3: output[0]['labels'] and output[0]['scores'] are missing"],
        ),
        (
            mapping(a=T, b=sequence(T, T), c=T),
            mapping(a=T, b=T),
            [
                "output['b'] is a tensor, the model returns a sequence of 2",
                "returns 1 tensor, the model returns 2: output['c'] is missing",
            ],
        ),
        (
            mapping(logits=T),
            mapping(output=T),
            ["output is a dict with the key 'output', the model returns a dict with the key 'logits'"],
        ),
        (
            sequence(T, {"value": "a"}),
            sequence(T, {"value": "b"}),
            ["output[1] is the value 'b', the model returns the value 'a'"],
        ),
        (sequence(T, {"float": "0x1p+0"}), sequence(T), ["output[1] is None, the model returns the number 1.0"]),
        (mapping(a=T), mapping(a=T, b={"value": 3}), ["output['b'] is the value 3, the model returns None"]),
        (NONE, T, ["output is a tensor, the model returns None"]),
    ],
)
def test_different_structures_in_words(expected: Tree, actual: Tree, messages: list[str]) -> None:
    assert compare_structure(expected, actual) == messages
    assert flatten(expected)[0] != flatten(actual)[0]
    assert compare_structure(actual, expected)


def test_flat_runtimes_are_compared_by_leaf_paths() -> None:
    assert compare_leaves(["[0]", "[1]"], ["[1]", "[0]"]) == []
    assert compare_leaves(["[0]", "[1]"], ["[0]"]) == ["returns 1 tensor, the model returns 2: output[1] is missing"]
    assert compare_leaves(["[0]", "[1]"], ["[0]", "[0]"]) == [
        "returns 2 tensors, as the model does, but output[1] is missing, and output[0] comes twice"
    ]
    assert compare_leaves([f"[{i}]" for i in range(20)], [])[0].endswith("output[7] and 12 more are missing")
