"""What is wrong with a case's field `sequence` is said with the remedy."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_modelconform import Sequence
from pytest_modelconform.workers.host.sequence_check import fault

GOOD: dict[str, Any] = {"carry": {"past": "present"}, "steps": 5}


@pytest.mark.parametrize(
    "more", [{}, {"carry": {"state/0": 1, "/args/2": ""}}, {"steps": 2, "inputs": lambda step: {}}]
)
def test_nothing_is_wrong(more: dict[str, Any]) -> None:
    assert fault(Sequence(**{**GOOD, **more})) == ""


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"carry": {}}, "carry: give a dict of outputs by the inputs that take them, like Sequence(carry="),
        ({"carry": ["past"]}, "carry: give a dict"),
        ({"carry": {0: "present"}}, "carry: 0 names no input: give the name of an argument"),
        ({"carry": {"/": "present"}}, "carry: '/' names no input"),
        ({"carry": {"past": None}}, "carry: None names no output: give its key or its position"),
        ({"carry": {"past": True}}, "carry: True names no output"),
        ({"steps": 1}, "steps=1 must be a whole number of 2 or more"),
        ({"steps": True}, "steps=True must be"),
        ({"steps": 2.0}, "steps=2.0 must be"),
        ({"inputs": {"x": 1}}, "inputs: give a function of the step's number: `inputs=lambda step: {…}`"),
    ],
)
def test_what_is_wrong(more: dict[str, Any], message: str) -> None:
    assert fault(Sequence(**{**GOOD, **more})).startswith(message)


def test_another_thing_than_a_sequence() -> None:
    assert fault([1, 2]).startswith("give a Sequence(…) of this plugin, like Sequence(carry=")
