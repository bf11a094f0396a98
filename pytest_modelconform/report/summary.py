"""A log as Markdown for a CI job's page (`$GITHUB_STEP_SUMMARY`): what is green is folded, what fails comes first."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..terms.outcome import STYLES, Outcome, Verdict
from .entries import Entry, entries, title
from .guilty import lines as guilty_lines
from .log import Log, missing
from .markdown import code, column_name, escaped, in_html, legend, reason_of, row_name, symbol, table
from .matrix import Column, Matrix, Row, fold
from .plural import counted

# GitHub refuses a step's summary of more than 1 MiB; others may have written to the same file.
LIMIT = 1_000_000
_MESSAGE_LINES, _MESSAGE_LENGTH, _NOTE_LENGTH = 8, 2000, 200
_MOST_OTHERS = 12


@dataclass(frozen=True)
class _Part:
    """A piece of the page that may be left out. what: of which kind, for the line that says so."""

    text: str
    what: str


def render(log: Log, title: str = "Compatibility matrix", limit: int = LIMIT) -> str:
    """The page, of at most `limit` bytes: what does not fit is left out, the least important first, and counted.

    limit: at least 2000, which is what the head may take.
    """
    folded = fold(log.cells)
    head = "\n\n".join([f"## {escaped(title)[:200]}", *_about(log, folded)])
    # The line that says what was left out has to fit, too.
    room = limit - len(head.encode()) - 500
    shown = [head]
    left_out: Counter[str] = Counter()
    for part in _parts(folded):
        size = len(part.text.encode("utf-8", "replace")) + 2
        if size <= room and not left_out[part.what]:
            shown.append(part.text)
            room -= size
        else:
            left_out[part.what] += 1
    if left_out:
        counts = ", ".join(f"{what}: {count}" for what, count in left_out.items())
        shown.append(f"**Left out here, since the page has a limit of {limit} bytes** ({counts}). All is in the log.")
    return "\n\n".join(shown) + "\n"


def _about(log: Log, folded: Matrix) -> Iterator[str]:
    if missing(log):
        yield f"**Missing: {', '.join(map(escaped, missing(log)))[:800]}. What is not here was not run.**"
    elif not log.complete:
        yield "**The log is cut off: what is not here was not run.**"
    total = sum(folded.totals.values())
    counts = [f"{STYLES[v].symbol} {count} {v.value}" for v, count in sorted(folded.totals.items(), key=_order)]
    said = f"{counted(total, 'cell')}: {', '.join(counts)}" if total else "No cells."
    known = "is" if folded.expected == 1 else "are"
    yield said + (f"; {folded.expected} {known} expected, as `expected.toml` says" if folded.expected else "")
    if folded.blocked:
        follows = (
            "1 of the errors only follows" if folded.blocked == 1 else f"{folded.blocked} of the errors only follow"
        )
        yield f"{follows} from a model check that failed."


def _order(item: tuple[Verdict, int]) -> int:
    return list(STYLES).index(item[0])


def _parts(folded: Matrix) -> Iterator[_Part]:
    if folded.failures:
        yield _Part(f"### {len(folded.failures)} not as expected", "headings")
        for entry in entries(folded):
            yield _Part(_failure(entry), "failures")
    surprising = {(cell.file, cell.case, cell.dtype) for cell, _ in folded.failures}
    green = [row for row in folded.rows if _is_green(row)]
    for row in folded.rows:
        if not _is_green(row):
            is_open = (row.file, row.case, row.dtype) in surprising
            yield _Part(_case(row, folded.columns, is_open), "cases")
    if green:
        names = [f"{row_name(row)} ({len(row.cells)})" for row in green]
        word = "case passes" if len(green) == 1 else "cases pass"
        yield _Part(_details(f"✓ {len(green)} {word} everywhere", ", ".join(names)), "cases that pass")
    if folded.rows:
        lines = "\n".join(table(folded))
        yield _Part(_details("The whole matrix", f"{lines}\n\n{legend(folded)}"), "matrix")


def _is_green(row: Row) -> bool:
    outcomes = [*([row.check] if row.check else []), *(outcome for _, outcome in row.cells.values())]
    return all(outcome.verdict is Verdict.PASS and outcome.expected is not False for outcome in outcomes)


def _failure(entry: Entry) -> str:
    outcome = entry.outcome
    verdict, _, stage = title(outcome).partition(" at stage ")
    lines = [line for line in "\n".join([outcome.message, *outcome.notes]).split("\n") if line.strip()]
    said = "\n".join(lines[:_MESSAGE_LINES])[:_MESSAGE_LENGTH]
    where = f" at stage {stage}" if stage else ""
    text = f"{STYLES[outcome.verdict].symbol} **{verdict}**{where}: {code(entry.cell.id)}"
    parts = [text, *([fenced(said)] if said else [])]
    if entry.blame is not None:
        parts.append("\n".join(f"- {escaped(line)[:_MESSAGE_LENGTH]}" for line in guilty_lines(entry.blame)))
    if entry.also:
        more = f" and {len(entry.also) - _MOST_OTHERS} more" if len(entry.also) > _MOST_OTHERS else ""
        parts.append(f"Also in {', '.join(code(cell.name) for cell in entry.also[:_MOST_OTHERS])}{more}.")
    return "\n\n".join(parts)


def _case(row: Row, columns: Sequence[Column], is_open: bool) -> str:
    outcomes = {column: row.cells[column][1] for column in columns if column in row.cells}
    counts = Counter(outcome.verdict for outcome in outcomes.values())
    said = ", ".join(f"{STYLES[v].symbol} {count} {v.value}" for v, count in sorted(counts.items(), key=_order))
    lines = ["| format | runtime | | |", "| --- | --- | :-: | --- |"]
    if row.check is not None and row.check.verdict is not Verdict.PASS:
        lines.append(f"| model | eager | {symbol(row.check)} | {_note(row.check)} |")
    passing = []
    for column, outcome in outcomes.items():
        name, runtime = column_name(column)
        if outcome.verdict is Verdict.PASS and outcome.expected is not False:
            passing.append(f"{code(name)} in {code(runtime)} {symbol(outcome)}")
        else:
            lines.append(f"| {code(name)} | {code(runtime)} | {symbol(outcome)} | {_note(outcome)} |")
    rest = f"\n\nPass: {', '.join(passing)}" if passing else ""
    name = row.case if row.dtype == "float32" else f"{row.case} {row.dtype}"
    return _details(f"<b>{in_html(name)}</b>: {said or 'no cells'}", "\n".join(lines) + rest, is_open)


def _note(outcome: Outcome) -> str:
    stage = f"at {outcome.stage.value}: " if outcome.stage else ""
    reason = reason_of(outcome)
    return escaped(stage + (reason if len(reason) <= _NOTE_LENGTH else f"{reason[:_NOTE_LENGTH]}…"))


def _details(summary: str, text: str, is_open: bool = False) -> str:
    return f"<details{' open' if is_open else ''}><summary>{summary}</summary>\n\n{text}\n\n</details>"


def fenced(text: str) -> str:
    """Text in a block of code, whatever it holds."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"
