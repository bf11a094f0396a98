"""What stands below the matrix: totals, then what there is to say of columns, of input sets and of models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ...terms.outcome import STYLES
from .. import said
from ..matrix import Matrix, is_partly
from ..plural import counted
from .heads import RowNames, columns_text
from .signs import outcomes, sign
from .text import Writer, say

# So many columns are named; of more, it is said how many.
_MOST_COLUMNS = 3
# Of so many cells it is said how they were compiled.
_MOST_COMPILED = 8


def write(matrix: Matrix, writer: Writer) -> None:
    """All of it, under a heading each."""
    _totals(matrix, writer)
    name_of = RowNames(matrix.rows)
    reasons = [f"{counted(count, 'cell')}: {reason}" for reason, count in matrix.absent.items()]
    _section(writer, "Unavailable on this machine", reasons)
    left_out = [f"{', '.join(names)}: {reason}" for reason, names in matrix.left_out.items()]
    _section(writer, "Left out", left_out)
    limits = [f"{columns_text(columns)}: {reason}" for reason, columns in matrix.limits.items()]
    limits += [f"{counted(count, 'cell')}: {reason}" for reason, count in said.unsupported(matrix).items()]
    _section(writer, "Limits of formats and runtimes, known in advance", limits)
    refused = [_refused(name_of(found.row), found) for found in said.refused(matrix)]
    _section(writer, "Input sets that were refused", refused)
    _section(writer, "Imprecise", [f"{name}: {reason}" for name, reason in said.imprecise(matrix)])
    _section(writer, "Accuracy of formats that quantise", said.accuracies(matrix))
    _section(writer, "Several threads", [f"{name}: {note}" for name, note in said.from_threads(matrix)])
    compiled = [f"{name}: {notes}" for name, notes in said.compiled(matrix)]
    more = [f"and {counted(len(compiled) - _MOST_COMPILED, 'cell')} more, in the log"]
    _section(writer, "torch.compile", [*compiled[:_MOST_COMPILED], *(more if len(compiled) > _MOST_COMPILED else [])])
    notes = [f"{', '.join(map(name_of, rows))}: {note}" for rows, note in said.notes(matrix)]
    _section(writer, "About the models", notes)


def _totals(matrix: Matrix, writer: Writer) -> None:
    """How many cells have each sign, in the order of the verdicts; what is not as expected comes last."""
    order = list(STYLES)
    counts: Counter[tuple[int, str]] = Counter()
    for outcome in outcomes(matrix):
        is_surprise = outcome.expected is False
        words = "not as expected" if is_surprise else outcome.verdict.value
        words += " (expected)" if outcome.expected else " in part" if is_partly(outcome) and not is_surprise else ""
        place = len(order) if is_surprise else order.index(outcome.verdict)
        counts[place, f"{sign(outcome, writer.hasmarkup)} {{}} {words}"] += 1
    shown = [text.format(count) for (_, text), count in sorted(counts.items())]
    writer.line()
    say(writer, f"{counted(sum(counts.values()), 'cell')}: {', '.join(shown) or 'nothing ran'}")


def _section(writer: Writer, title: str, texts: Sequence[str]) -> None:
    if not texts:
        return
    writer.line()
    writer.line(title, bold=True)
    for text in texts:
        say(writer, text, indent="  ")


def _refused(name: str, found: said.Refused) -> str:
    few = len(found.columns) <= _MOST_COLUMNS
    where = columns_text(found.columns) if few else f"in {len(found.columns)} columns"
    return f"{name}: set {found.name!r} refused: {found.reason} ({where})"
