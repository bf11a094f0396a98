"""Operators of a model that is too slow to be tried as a whole: one call of each kind, alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ..terms.outcome import Outcome
from ..terms.program import Operator, Part
from .failures import MOST, Found, Progress
from .trial import Trials
from .wrong import is_wrong

# With fewer operators, the whole is hardly slower than a part.
_MANY = 40
# How often the whole should fit into the time: as it is, with all results, and without what was found.
_RUNS = 4

# Operators that move values and compute none: they are tried last.
_MOVES = frozenset(
    [
        "permute",
        "transpose",
        "view",
        "reshape",
        "select",
        "slice",
        "contiguous",
        "unsqueeze",
        "squeeze",
        "expand",
        "pad",
        "roll",
        "flatten",
        "clone",
        "cat",
        "stack",
        "dropout",
        "split",
        "chunk",
        "repeat",
    ]
)
# What makes tensors of a shape alone: by itself, nothing of what they are goes in.
_MAKES = re.compile(r"(new_|zeros|ones|full|empty|fill\b|arange|eye|rand)")

_VALUE = re.compile(r"\b[a-z_]\w*\b(?!\s*[=(])")


def is_slow(outcome: Outcome, operators: Sequence[Operator], left: float) -> bool:
    """Whether a cell takes too long for its model to be tried as a whole, and has operators that may take less."""
    return len(operators) > _MANY and sum(outcome.seconds.values()) * _RUNS > left


def by_kind(
    trials: Trials, part: Callable[[Sequence[str], Sequence[str]], Part], progress: Progress, found: list[Found]
) -> str:
    """Try one call of each kind alone, those of other operators first; what is wrong is added to `found`.

    Operators that only move values come last, and those that only make tensors not at all.

    A note that says what was not tried. Raises OutOfTime.
    """
    kinds: dict[tuple[str, str], list[Operator]] = {}
    for operator in trials.program.operators:
        if operator.comparable and not _MAKES.match(_name(operator)):
            kinds.setdefault((operator.target, _given(operator)), []).append(operator)
    seen: set[str] = set()
    firsts, others = list[list[Operator]](), list[list[Operator]]()
    for (target, _), calls in kinds.items():
        (others if target in seen else firsts).append(calls)
        seen.add(target)
    alike = []
    for calls in sorted([*firsts, *others], key=lambda calls: _name(calls[0]) in _MOVES):
        if len(found) == MOST:
            break
        if any(calls[0].target == one.operators[0].target for one in found):
            continue
        name = calls[0].name
        progress(f"trying {calls[0].target} ({name}) alone")
        tried = trials.tried(part([name], [name]))
        if is_wrong(tried):
            found.append(Found((calls[0],), tried))
            alike.append(sum(other.target == calls[0].target for other in trials.program.operators) - 1)
    note = "The model takes too long to be tried as a whole here, so that one call of each kind of operator was, alone"
    more = [f"{count} more of {one.operators[0].target}" for count, one in zip(alike, found, strict=False) if count]
    return f"{note}; there are {', '.join(more)}." if more else f"{note}."


def _name(operator: Operator) -> str:
    """What an operator is called: gelu, of aten.gelu.default."""
    return operator.target.partition(".")[2].partition(".")[0]


def _given(operator: Operator) -> str:
    """An operator's call without the names of tensors."""
    return _VALUE.sub("_", operator.call.partition("(")[2])
