"""The matrix as Markdown, a rendering of the log: formats and runtimes down, cases across."""

from __future__ import annotations

import argparse
import html
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..terms.cell import EAGER, FULL, INFERENCE, Cell
from ..terms.outcome import STYLES, WITH_BITS, Outcome, Verdict
from .guilty import blame_of, headline
from .log import Log, LogError, missing, read
from .matrix import Column, Matrix, Row, field_of, fold, is_partly
from .plural import counted
from .said import refused


def render(log: Log, title: str = "Compatibility matrix") -> str:
    """The whole page. What models and libraries say is escaped."""
    folded = fold(log.cells)
    parts = [
        f"# {escaped(title)}",
        "\n".join(_about(log, folded)),
        *_tables(folded),
        legend(folded),
        *_reasons(folded),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _about(log: Log, folded: Matrix) -> Iterator[str]:
    found: Mapping[str, Any] = log.environment
    date = str(found.get("date", "")).partition("T")[0]
    processor, python = (escaped(str(found.get(name, ""))) for name in ("processor", "python"))
    yield f"{escaped(date)}, {processor}, Python {python}."
    if not log.complete:
        lacking = f"lacks {', '.join(map(escaped, missing(log)))}" if missing(log) else "was cut off"
        yield f"**This run {lacking}: what is not here was not run.**"
    totals = [f"{count} {verdict.value}" for verdict, count in folded.totals.items()]
    known = "is" if folded.expected == 1 else "are"
    recorded = f"; {folded.expected} of the failures {known} expected" if folded.expected else ""
    yield f"{counted(sum(folded.totals.values()), 'cell')}: {', '.join(totals) or 'nothing ran'}{recorded}."
    packages = {name: version for name, version in dict(found.get("packages", {})).items() if version}
    if packages:
        yield ""
        yield f"Versions: {', '.join(f'{escaped(name)} {escaped(str(v))}' for name, v in sorted(packages.items()))}."
    environments: Mapping[str, Sequence[str]] = dict(found.get("environments", {}))
    if environments:
        yield ""
        yield f"Environments of their own: {'; '.join(_pins(*item) for item in sorted(environments.items()))}."


def _pins(environment: str, requirements: Sequence[str]) -> str:
    """An environment's name, and what is in it."""
    return f"{code(environment)} with {', '.join(escaped(text.replace('==', ' ')) for text in requirements)}"


def _tables(folded: Matrix) -> Iterator[str]:
    """One table; or, where that would be too wide, several for each field, and further ones for other dtypes."""
    if len(folded.rows) <= _MOST_ROWS:
        yield "\n".join(table(folded))
        return
    fields: dict[tuple[str, bool], list[Row]] = {}
    for row in folded.rows:
        fields.setdefault((field_of(row.file), row.dtype != "float32"), []).append(row)
    for (name, is_other), rows in fields.items():
        parts = -(-len(rows) // _MOST_ROWS)
        for part in range(parts):
            # Of equal widths.
            some = rows[len(rows) * part // parts : len(rows) * (part + 1) // parts]
            used = [column for column in folded.columns if any(column in row.cells for row in some)]
            of = f" ({part + 1} of {parts})" if parts > 1 else ""
            yield f"## {escaped(name) or 'Cases'}{', other dtypes' if is_other else ''}{of}"
            yield "\n".join(table(replace(folded, rows=some, columns=used)))


def table(folded: Matrix) -> Iterator[str]:
    """The lines of the matrix: formats and runtimes down, cases across."""
    heads = [row_name(row) for row in folded.rows]
    yield f"| format | runtime | {' | '.join(heads)} |"
    yield f"| --- | --- |{' :-: |' * len(heads)}"
    yield f"| model | eager PyTorch | {' | '.join(symbol(row.check) for row in folded.rows)} |"
    last = ""
    for column in folded.columns:
        format_name, runtime = column_name(column)
        cells = [symbol(row.cells[column][1]) if column in row.cells else "" for row in folded.rows]
        yield f"| {'' if format_name == last else code(format_name)} | {code(runtime)} | {' | '.join(cells)} |"
        last = format_name


def row_name(row: Row) -> str:
    """A case, with a dtype other than float32; escaped."""
    return escaped(row.case if row.dtype == "float32" else f"{row.case} {row.dtype}")


def column_name(column: Column) -> tuple[str, str]:
    """Format; runtime with what is unusual. Not escaped."""
    format_name, runtime, device, precision, task = column
    others = [word for word, usual in ((device, "cpu"), (precision, FULL), (task, INFERENCE)) if word != usual]
    return format_name, " ".join([runtime if runtime != EAGER else "eager PyTorch", *others])


def symbol(outcome: Outcome | None) -> str:
    """A cell of the table."""
    if outcome is None:
        return ""
    style = STYLES[outcome.verdict]
    partly = is_partly(outcome)
    bits = f" {round(outcome.bits)}" if outcome.bits is not None and outcome.verdict in WITH_BITS else ""
    surprise = "**!**" if outcome.expected is False or (outcome.failed and not outcome.expected) else ""
    return f"{'◐' if partly else style.symbol}{bits}{surprise}"


def legend(folded: Matrix) -> str:
    """What the symbols of a table mean."""
    used = [style for verdict, style in STYLES.items() if folded.totals.get(verdict)]
    said = [f"{style.symbol} {style.meaning}" for style in used]
    if any(is_partly(outcome) for row in folded.rows for _, outcome in row.cells.values()):
        said.append("◐ pass in part, an input set was refused")
    text = "; ".join(said) + ". Numbers are effective bits. **!** is not what `expected.toml` says."
    return "\n\n".join([text, *_limits(folded), *_refused(folded)])


def _refused(folded: Matrix) -> Iterator[str]:
    """Why input sets were refused, each reason once, with sizes and remedy."""
    for found in refused(folded):
        names = ", ".join(f"{code(f)} in {code(r)}" for f, r in map(column_name, found.columns))
        where = names if len(found.columns) <= _MOST_COLUMNS else f"{len(found.columns)} columns"
        yield f"{row_name(found.row)}: set {code(found.name)} refused: {escaped(found.reason)} ({where})."


def _limits(folded: Matrix) -> Iterator[str]:
    """What whole columns can't do, whatever the case: each reason once."""
    for reason, columns in folded.limits.items():
        pairs = (column_name(column) for column in columns)
        names = ", ".join(f"{code(format_name)} in {code(runtime)}" for format_name, runtime in pairs)
        yield f"{names}: {escaped(reason)}."


def _reasons(folded: Matrix) -> Iterator[str]:
    """What failed, was unsupported or unavailable, each reason once with the cells that have it."""
    found: dict[tuple[str, str], list[tuple[Cell, Outcome]]] = {}
    for row in folded.rows:
        for cell, outcome in row.cells.values():
            if outcome.verdict is Verdict.PASS:
                continue
            stage = f" at {outcome.stage.value}" if outcome.stage else ""
            found.setdefault((f"{outcome.verdict.value}{stage}", reason_of(outcome)), []).append((cell, outcome))
    if found:
        yield "## Why"
        yield "\n".join(_lines(*key, cells) for key, cells in sorted(found.items(), key=lambda item: item[0]))


def _lines(verdict: str, reason: str, cells: Sequence[tuple[Cell, Outcome]]) -> str:
    shown = reason if len(reason) <= _LONGEST else f"{reason[:_LONGEST]}…"
    cause = next((str(outcome.cause.get("id", "")) for _, outcome in cells if outcome.cause), "")
    blamed = (blame_of(outcome) for _, outcome in cells)
    guilty = dict.fromkeys(headline(blame) for blame in blamed if blame and blame.guilty)
    lines = [f"- **{verdict}**: {code(cause) + ': ' if cause else ''}{escaped(shown)}", where(cells)]
    return "  \n  ".join([*lines, *map(escaped, guilty)])


def where(cells: Sequence[tuple[Cell, Outcome]], most: int = sys.maxsize) -> str:
    """Formats and runtimes with the cases that fail there; equal lists of runtimes are told once."""
    runtimes: dict[tuple[str, str], dict[str, None]] = {}
    for cell, _ in cells:
        case = cell.case if cell.dtype == "float32" else f"{cell.case} {cell.dtype}"
        runtime = column_name((cell.format, cell.runtime, cell.device, cell.precision, cell.task))[1]
        runtimes.setdefault((cell.format, case), {})[runtime] = None
    cases: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (name, case), of in runtimes.items():
        cases.setdefault((name, tuple(of)), []).append(case)
    formats: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for (name, of_format), found in cases.items():
        formats.setdefault((of_format, tuple(found)), []).append(name)
    parts = []
    for (of_runtimes, found_cases), names in formats.items():
        shown = ", ".join(map(escaped, found_cases[:most]))
        more = f" and {len(found_cases) - most} more" if len(found_cases) > most else ""
        parts.append(f"{', '.join(map(code, names))} in {', '.join(map(code, of_runtimes))}: {shown}{more}")
    return "; ".join(parts)


def reason_of(outcome: Outcome) -> str:
    """Why a cell doesn't pass, in a line: as expected.toml says, or else as it was seen. Not escaped."""
    expected = next((note for note in outcome.notes if note.startswith("expected: ")), "")
    text = expected.removeprefix("expected: ") or outcome.message
    first, *others = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    if first.endswith(_NEXT) and (beneath := [line for line in others if line.startswith(_CAUSED)]):
        return beneath[-1].removeprefix(_CAUSED)
    # Some exceptions say nothing in their first line but that they are one.
    return f"{first} {others[0]}" if _NO_MORE.fullmatch(first) and others else first


_LONGEST, _MOST_COLUMNS = 400, 3
# What PyTorch's exporter to ONNX ends its first line with, whatever has happened; how what has happened is told then.
_NEXT, _CAUSED = "Next steps:", "caused by "
# An exception's first line without a message.
_NO_MORE = re.compile(r"(input set '[^']*': )?[\w.]+:")
# Cases side by side in one table, dtypes counted.
_MOST_ROWS = 20


def escaped(text: str) -> str:
    """Text that Markdown and HTML take as it is, on one line."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _unmentioned(re.sub(r"[\\`*_{}\[\]|#~$]", r"\\\g<0>", text))


def in_html(text: str) -> str:
    """Text for a line that begins with a tag, where Markdown is not read; on one line."""
    return _unmentioned(html.escape(text))


def _unmentioned(text: str) -> str:
    # On GitHub the user whose name stands behind an @ would be told of every report.
    return " ".join(re.sub(r"@(?=\w)", "@<!-- -->", text).split())


def code(text: str) -> str:
    """A name as code. Backticks where these can't be left; else HTML, in which anything can be escaped."""
    return f"`{text}`" if re.fullmatch(r"[\w.+:/\-\[\] ]+", text) else f"<code>{escaped(text)}</code>"


def main() -> int:
    """`python -m pytest_modelconform.report.markdown LOG`: the page of a log, on stdout."""
    parser = argparse.ArgumentParser(description="The matrix of a log as Markdown.")
    parser.add_argument("log", type=Path)
    parser.add_argument("--title", default="Compatibility matrix")
    arguments = parser.parse_args()
    try:
        print(render(read(arguments.log), arguments.title), end="")
    except (OSError, LogError) as error:
        print(f"modelconform: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
