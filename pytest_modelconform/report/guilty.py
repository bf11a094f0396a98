"""What blame came to, in words: which operator a cell fails at, where it is, and whose fault it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import msgspec

from ..terms.blame import UNKNOWN, Blame, Guilty
from ..terms.outcome import Outcome, Verdict
from ..terms.program import Operator

# Guilty places that are named where there is little room, and operators of a window.
_MOST_PLACES, _MOST_OPERATORS = 2, 3
# Of a line of the user's code.
_SOURCE = 60
# How a line begins that names a guilty place.
FOUND = "guilty: "
_OVERLOAD = ".default"


def is_blame(value: Any) -> bool:
    """Whether a value is what `Blame.to_json` writes. A log may come from elsewhere."""
    try:
        msgspec.convert(value, Blame)
    except msgspec.ValidationError:
        return False
    return True


def blame_of(outcome: Outcome) -> Blame | None:
    """What blame came to in a cell; None where nobody looked."""
    return Blame.from_json(outcome.blame) if outcome.blame is not None else None


def lines(blame: Blame, most: int = _MOST_PLACES) -> list[str]:
    """One to four lines for a terminal: the guilty places, whose fault the first one is, and what is to be added."""
    if not blame.guilty:
        separator = ". " if blame.note[:1].isupper() else ": "
        return [f"guilty operator not found{separator}{blame.note}" if blame.note else "guilty operator not found"]
    found = [f"{FOUND}{place(guilty)}" for guilty in blame.guilty[:most]]
    if len(blame.guilty) > most:
        found[-1] += f" (and {len(blame.guilty) - most} more, in the report)"
    if why := blame.guilty[0].why:
        found.append(why)
    return [*found, *([blame.note] if blame.note else [])]


def headline(blame: Blame) -> str:
    """The first of the lines."""
    return lines(blame, 1)[0]


def place(guilty: Guilty) -> str:
    """A guilty place in a line: `aten.avg_pool2d in features.pool (net.py:12: self.pool(x)), in the runtime`."""
    last = guilty.operators[-1] if guilty.operators else Operator(name="", target="an operator", call="")
    text = f"{title(guilty)}{_where(last)}"
    if guilty.party != UNKNOWN:
        text += f", in the {guilty.party}"
    return f"{text}; {bits}" if (bits := right(guilty)) else text


def title(guilty: Guilty) -> str:
    """The operator's name; of a window the names of all, or of the first and the last."""
    names = [name_of(operator) for operator in guilty.operators]
    if len(names) < 2:
        return "".join(names) or "an operator"
    if len(names) <= _MOST_OPERATORS:
        return f"{', '.join(names[:-1])} and {names[-1]}, only together,"
    return f"{names[0]} … {names[-1]} ({len(names)} operators, only together)"


def name_of(operator: Operator) -> str:
    """An operator without its overload where that is the usual one; a submodule by its class."""
    return operator.target.removesuffix(_OVERLOAD)


def right(guilty: Guilty) -> str:
    """How many bits are right there: `3.1 of 22.0 bits right there`; "" where that is no number."""
    if guilty.bits is None:
        return ""
    of = f" of {guilty.of:.1f}" if guilty.of is not None else ""
    return f"{max(guilty.bits, 0.0):.1f}{of} bits right there"


def _where(operator: Operator) -> str:
    inside = _inside(operator)
    if not operator.file:
        return inside
    code = " ".join(operator.source.split())
    code = code if len(code) <= _SOURCE else f"{code[:_SOURCE]}…"
    at = f"{PurePath(operator.file.replace(chr(92), '/')).name}:{operator.line}"
    return f"{inside} ({at}{f': {code}' if code else ''})"


def keys(outcome: Outcome) -> Sequence[str]:
    """What tells the guilty places of two runs apart: operators and modules, whatever line they are in."""
    blame = blame_of(outcome)
    if blame is None or outcome.verdict is Verdict.PASS:
        return ()
    return [_key(guilty) for guilty in blame.guilty]


def _key(guilty: Guilty) -> str:
    return title(guilty) + (_inside(guilty.operators[-1]) if guilty.operators else "")


def _inside(operator: Operator) -> str:
    """Which submodule calls it; with its class where the path ends in a number, as in a Sequential."""
    path = operator.module
    named = f"{operator.kind} {path}" if operator.kind and path.rpartition(".")[2].isdecimal() else path
    return f" in {named}" if path else ""
