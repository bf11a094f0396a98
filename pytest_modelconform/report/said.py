"""What the cells of a matrix have to say beside their verdicts, each thing once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..terms.accuracy import accuracy
from ..terms.outcome import BY_COMPILER, FROM_THREADS, Outcome, Verdict
from .matrix import Column, Matrix, Row, is_partly

_MOST_PLACES = 3
# Of which input set and output a note is.
_PLACE = re.compile(r"input set '([^']*)'(?:, (output\S*?))?(?=[ :])[:,]? ?")


@dataclass(frozen=True)
class Refused:
    """An input set that cells of a case refuse, for one reason. columns: those of the cells."""

    row: Row
    name: str
    reason: str
    columns: Sequence[Column]


def refused(matrix: Matrix) -> list[Refused]:
    """Why cells that pass do not pass whole."""
    found: dict[tuple[int, str, str], list[Column]] = {}
    for number, row in enumerate(matrix.rows):
        for column in (column for column in matrix.columns if column in row.cells):
            outcome = row.cells[column][1]
            if not is_partly(outcome):
                continue
            for name, entry in refused_sets(outcome).items():
                found.setdefault((number, name, first_line(str(entry.get("message", "")))), []).append(column)
    return [Refused(matrix.rows[n], name, reason, columns) for (n, name, reason), columns in found.items()]


def refused_sets(outcome: Outcome) -> Mapping[str, Mapping[str, object]]:
    """The input sets that are unsupported for the cell's own case."""
    return {
        name: entry
        for name, entry in outcome.inputs.items()
        if entry["verdict"] == Verdict.UNSUPPORTED.value and not entry.get("limit")
    }


def unsupported(matrix: Matrix) -> dict[str, int]:
    """By the reason, how many cells are unsupported as a whole."""
    found: dict[str, int] = {}
    for row in matrix.rows:
        for _, outcome in row.cells.values():
            if outcome.verdict is Verdict.UNSUPPORTED:
                reason = first_line(outcome.message)
                found[reason] = found.get(reason, 0) + 1
    return found


def first_line(text: str) -> str:
    """The first line of a text."""
    return text.strip().partition("\n")[0].strip()


def notes(matrix: Matrix) -> list[tuple[list[Row], str]]:
    """What the model checks that passed say of a model, each with the rows that it is said of."""
    found: dict[tuple[str, str, str], list[Row]] = {}
    for row in matrix.rows:
        checks = [row.check, *(outcome for cell, outcome in row.cells.values() if cell.is_check)]
        said = [first_line(note) for check in checks if check is not None and not check.failed for note in check.notes]
        for note in alike(dict.fromkeys(said)):
            found.setdefault((row.file, row.case, note), []).append(row)
    return [(rows, note) for (_, _, note), rows in found.items()]


def alike(said: Mapping[str, None] | Sequence[str]) -> list[str]:
    """Notes, those that differ in the input set, the output and numbers only as one."""
    groups: dict[str, list[str]] = {}
    for note in said:
        groups.setdefault(_NUMBER.sub("#", _PLACE.sub("@ ", note, 1)), []).append(note)
    found = []
    for group in groups.values():
        places = dict.fromkeys(map(_place, group))
        more = [place for place in list(places)[1:] if place]
        if len(places) < 2:
            found += group
            continue
        shown = ", ".join(more[:_MOST_PLACES])
        rest = f" and {len(more) - _MOST_PLACES} more" if len(more) > _MOST_PLACES else ""
        found.append(f"{group[0]}; likewise {shown}{rest}")
    return found


_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def _place(note: str) -> str:
    """`output[0] of 'pair'`, or `'pair'`."""
    if (found := _PLACE.match(note)) is None:
        return ""
    name, output = found.groups()
    return f"{output} of {name!r}" if output else repr(name)


def imprecise(matrix: Matrix) -> Iterator[tuple[str, str]]:
    """Name and reason of cells that are imprecise, and for which this is no failure."""
    for row in matrix.rows:
        for cell, outcome in row.cells.values():
            if outcome.verdict is Verdict.IMPRECISE and outcome.passed and outcome.expected is not False:
                yield cell.name, f"{outcome.verdict.value}: {first_line(outcome.message)}"


def compiled(matrix: Matrix) -> Iterator[tuple[str, str]]:
    """Name and notes of cells that pass, and were compiled in parts, or more than once."""
    for row in matrix.rows:
        for cell, outcome in row.cells.values():
            notes = [note.removeprefix(f"{BY_COMPILER}: ") for note in outcome.notes if note.startswith(BY_COMPILER)]
            if notes and outcome.passed:
                yield cell.name, ". ".join(notes)


def from_threads(matrix: Matrix) -> Iterator[tuple[str, str]]:
    """Name and note of cells that pass, and give other numbers from several threads at once."""
    for row in matrix.rows:
        for cell, outcome in row.cells.values():
            if not outcome.failed and not (outcome.threads or {}).get("identical", True):
                yield from ((cell.name, note) for note in outcome.notes if note.startswith(FROM_THREADS))


def accuracies(matrix: Matrix) -> list[str]:
    """What formats that make models less exact leave of them, in words: the fewest bits over their runtimes."""
    found = []
    for row in matrix.rows:
        kept: dict[str, list[tuple[float, float | None]]] = {}
        for cell, outcome in row.cells.values():
            if accuracy(cell.format) is not None and outcome.bits is not None and outcome.passed:
                kept.setdefault(cell.format, []).append((outcome.bits, outcome.reference_bits))
        if not kept:
            continue
        wholes = [whole for entries in kept.values() for _, whole in entries if whole is not None]
        whole = f" of {min(wholes):.1f} bits" if wholes else " bits"
        words = [f"{name} {min(bits for bits, _ in entries):.1f}" for name, entries in kept.items()]
        found.append(f"{row.case}: {', '.join(words)}{whole}")
    return found
