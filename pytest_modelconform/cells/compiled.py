"""What a runtime that compiles while it runs has compiled: for the record, in notes, and whether it was anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from ..terms.outcome import BY_COMPILER, Outcome, Stage, Verdict
from .answers import SetResult
from .protocol import Compiled

# What there may be of in an input set, each with what one of it is called.
_PARTS = {"breaks": "graph break", "recompilations": "recompilation", "eager": "function left to eager PyTorch"}
# Of each, so many are quoted.
_QUOTED = 3


def of_set(made: Compiled | None) -> dict[str, Any] | None:
    """What was compiled for an input set, as the report has it; None where its runtime compiles nothing."""
    return None if made is None else msgspec.to_builtins(made)


def told(outcome: Outcome, results: Mapping[str, SetResult]) -> Outcome:
    """The outcome of a cell with what was compiled for it, in numbers and notes.

    If nothing was, a pass would be that of eager PyTorch: the cell is unsupported, with the reason.
    """
    sets = {name: result.compiled for name, result in results.items() if result.compiled is not None}
    if not sets:
        return outcome
    totals: dict[str, Any] = {
        "graphs": sum(made["graphs"] for made in sets.values()),
        **{part: sum(one["times"] for made in sets.values() for one in made[part]) for part in _PARTS},
        "seconds": sum(made["seconds"] for made in sets.values()),
    }
    found = {part: _quoted(sets, part) for part in _PARTS}
    notes = [f"{BY_COMPILER}: {_counted(totals[part], part)}: {found[part]}" for part in _PARTS if totals[part]]
    outcome = replace(outcome, compiled=totals, notes=(*outcome.notes, *notes))
    if totals["graphs"] or not outcome.passed:
        return outcome
    why = f"it left all of it to eager PyTorch: {found['eager']}" if totals["eager"] else "there is nothing to compile"
    said = f"torch.compile made no graph of the model, so that none of its code ran: {why}"
    return replace(outcome, verdict=Verdict.UNSUPPORTED, stage=Stage.RUN, message=said)


def _counted(number: int, part: str) -> str:
    first, _, rest = _PARTS[part].partition(" ")
    if part == "eager":
        return f"{number} {first}{'s' if number > 1 else ''} {rest}"
    return f"{number} {_PARTS[part]}{'s' if number > 1 else ''}"


def _quoted(sets: Mapping[str, Mapping[str, Any]], part: str) -> str:
    """Places and reasons, each once, with the input sets in which a function was compiled again."""
    named: dict[str, list[str]] = {}
    for name, made in sets.items():
        for one in made[part]:
            text = f"{one['where']}: {one['reason']}" if one["where"] else one["reason"]
            named.setdefault(text, []).append(name)
    texts = [f"{text} ({_names(names)})" if part == "recompilations" else text for text, names in named.items()]
    more = [f"and {len(texts) - _QUOTED} more"] if len(texts) > _QUOTED else []
    return "; ".join([*texts[:_QUOTED], *more])


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"for {name!r}" for name in names)
