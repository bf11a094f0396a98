"""What stands in a cell: the sign of its verdict, and its effective bits. No sign means two things."""

from __future__ import annotations

from collections.abc import Iterator

from ...terms.outcome import STYLES, WITH_BITS, Outcome
from ..matrix import Matrix, is_partly
from .heads import FOLLOWS

SURPRISE = "!"
# Bits of what is the model's in every digit (MOST_BITS in compare/numbers.py); no dtype has as many.
_EXACT = 60
# Of a pass that an input set is missing from: on a terminal with colours, and without.
PARTLY = ("◐", "o")


def sign(outcome: Outcome, colour: bool) -> str:
    """One character."""
    if outcome.expected is False:
        return SURPRISE
    if is_partly(outcome):
        return PARTLY[0 if colour else 1]
    style = STYLES[outcome.verdict]
    if colour:
        return style.symbol
    # Small: known, and recorded in expected.toml.
    return style.letter.lower() if outcome.expected else style.letter


def square(outcome: Outcome, colour: bool, bits: bool) -> str:
    """A whole cell: the sign and, with `bits`, the number of effective bits where that is the verdict's ground."""
    shown = bits and outcome.bits is not None and outcome.verdict in WITH_BITS
    return sign(outcome, colour) + (f" {bits_text(outcome.bits)}" if shown and outcome.bits is not None else "")


def bits_text(bits: float) -> str:
    """Effective bits without a fraction; a few tenths below zero are zero."""
    return f"{round(bits)}"


def markup(outcome: Outcome) -> dict[str, bool]:
    """The colour of a cell."""
    colour = {True: "yellow", False: "red", None: STYLES[outcome.verdict].markup}[outcome.expected]
    return {colour: True}


def outcomes(matrix: Matrix) -> Iterator[Outcome]:
    """All that the matrix shows."""
    for row in matrix.rows:
        if row.check is not None:
            yield row.check
        yield from (outcome for _, outcome in row.cells.values())


def legend(matrix: Matrix, colour: bool, bits: bool, follows: bool = False) -> list[str]:
    """What the signs that occur mean, in the order of the verdicts.

    bits: whether numbers are shown. follows: whether some column's name only says in what it differs from the one
    before.
    """
    found = list(outcomes(matrix))
    meanings: dict[str, str] = {}
    for verdict in STYLES:
        # What is expected comes after what is not.
        for outcome in sorted((o for o in found if o.verdict is verdict), key=lambda o: o.expected is True):
            meanings.setdefault(sign(outcome, colour), _meaning(outcome, colour))
    if surprise := meanings.pop(SURPRISE, None):
        meanings[SURPRISE] = surprise
    parts = [f"{shown} {meaning}" for shown, meaning in meanings.items()]
    if colour and any(outcome.expected for outcome in found):
        parts.append("yellow: expected")
    numbers = [outcome.bits for outcome in found if outcome.bits is not None and outcome.verdict in WITH_BITS]
    if bits and numbers:
        parts.append(f"number: effective bits{f' ({_EXACT}: no error)' if max(numbers) >= _EXACT else ''}")
    if follows:
        parts.append(f"{FOLLOWS}NAME the runtime to its left, with NAME")
    return parts


def _meaning(outcome: Outcome, colour: bool) -> str:
    if outcome.expected is False:
        return "not as expected.toml says"
    if is_partly(outcome):
        return "pass in part: an input set was refused, see below"
    return f"{outcome.verdict.value}{' (expected)' if outcome.expected and not colour else ''}"
