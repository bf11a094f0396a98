"""How a case is run step by step, with its own outputs fed back. Imports neither torch nor numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Sequence:
    """A model that takes its state as an input and returns it: each step is given what the step before returned.

    carry: by the input that takes it, the output that a step returns: `{"past": "present"}`. An input is the name of
        an argument, or a place in it, `"cache/0/key"`. An output is a key or a position, `"present"` or `1`, or a place
        in there, `"1/0"`; `""` is the whole result. What stands for a nest of tensors carries all of them, each to the
        place of the same name.
    steps: how many, from 2 on.
    inputs: a function of the step's number, from 0 on, that returns by the names of arguments what is given there. What
        it leaves out is as in the input set that exporters see. Of what is carried it gives the first step's.
    """

    carry: Mapping[str, str | int]
    steps: int
    inputs: Callable[[int], Mapping[str, Any]] | None = None
