"""What is wrong with a case's field `sequence`, and the remedy."""

from __future__ import annotations

from typing import Any

from pytest_modelconform.terms.sequence import Sequence

_LIKE = 'Sequence(carry={"past": "present"}, steps=5)'


def fault(sequence: Any) -> str:
    """A sentence; "" if nothing is wrong. Which inputs and outputs there are, the model says when it is built."""
    if not isinstance(sequence, Sequence):
        return f"give a Sequence(…) of this plugin, like {_LIKE}, not a {type(sequence).__name__}"
    carry: Any = sequence.carry
    steps: Any = sequence.steps
    if not isinstance(carry, dict) or not carry:
        return f"carry: give a dict of outputs by the inputs that take them, like {_LIKE}"
    for taken, returned in carry.items():
        if not isinstance(taken, str) or not taken.strip("/"):
            return f"carry: {taken!r} names no input: give the name of an argument, or a place in it, like 'cache/0'"
        if not isinstance(returned, (str, int)) or isinstance(returned, bool):
            return f"carry: {returned!r} names no output: give its key or its position, or a place in it, like '1/0'"
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 2:
        return f"steps={steps!r} must be a whole number of 2 or more: the first step is fed with nothing"
    inputs: Any = sequence.inputs
    if inputs is not None and not callable(inputs):
        return "inputs: give a function of the step's number: `inputs=lambda step: {…}`"
    return ""
