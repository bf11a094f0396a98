"""`modelconform report`: a log, later and elsewhere, as the matrix on the terminal or as a file."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..report import causes, csv_report, json_report, junit, matrix, pairs, places, recordings, rerun, summary, terminal
from ..report.log import Log, missing
from ..terms.cell import Cell
from .logs import Refused, emit, load, refuse
from .texts import format_of

_TITLE = "Compatibility matrix"
_LEAST_LIMIT = 2000

EXAMPLES = """\
  modelconform report run.jsonl                   the matrix, on the terminal
  modelconform report run.jsonl -o report.html    also .md, .json, .csv and .xml (JUnit)
  modelconform report run.jsonl --format pairs    a row a format and runtime, over all papers
  modelconform report run.jsonl --format causes   the failures by root cause
  modelconform report run.jsonl --format durations -o durations.json
                                                  what cells took, for --modelconform-durations

exit status: 0, also where cells failed; 2 for a file that can't be read as a log."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `modelconform report`."""
    parser.add_argument(
        "log", metavar="LOG", type=Path, help="the log of a run, whose path is the last line that pytest prints"
    )
    parser.add_argument("--format", choices=list(FORMATS), help="default: by the ending of FILE, or terminal")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write to a file")
    parser.add_argument("--html", metavar="FILE", type=Path, help="the same as --format html -o FILE")
    parser.add_argument("--title", default=_TITLE, help="title of the page in Markdown or HTML")
    parser.add_argument(
        "--limit",
        type=int,
        default=summary.LIMIT,
        metavar="BYTES",
        help="longest Markdown page: GitHub takes 1 MiB as the summary of a job, 65536 characters as a comment",
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit status: 0, 2 for a file that is no log. What is in it changes nothing: that is what the run was for."""
    try:
        if arguments.html is not None:
            if arguments.format not in (None, "html") or arguments.output is not None:
                raise Refused("--html FILE stands for --format html -o FILE: leave --format and -o out.")
            arguments.format, arguments.output = "html", arguments.html
        if arguments.limit < _LEAST_LIMIT:
            raise Refused(f"--limit {arguments.limit} is too small for a page: give {_LEAST_LIMIT} or more.")
        name = arguments.format or format_of(arguments.output, _ENDINGS, "terminal")
        log = load(arguments.log)
        if name == "terminal" and arguments.output is None:
            _write_terminal(log, arguments.log, sys.stdout)
        elif name == "html" and arguments.output is not None:
            _write_pages(log, arguments)
        else:
            emit(FORMATS[name](log, arguments), arguments.output)
    except ModuleNotFoundError as error:
        return refuse("report", Refused(f"--format {name} needs the package {error.name}, which is not installed."))
    except Refused as error:
        return refuse("report", error)
    return 0


def _terminal(log: Log, arguments: argparse.Namespace) -> str:
    import io

    file = io.StringIO()
    _write_terminal(log, arguments.log, file)
    return file.getvalue()


def _write_terminal(log: Log, path: Path, file: Any) -> None:
    # The writer of the live report: colours, width, and terminals that have no such letters.
    from _pytest._io import TerminalWriter

    writer = TerminalWriter(file)
    options: Mapping[str, Any] = log.environment.get("options", {})
    formats, runtimes = ([str(n) for n in options.get(key, ())] for key in ("formats", "runtimes"))
    try:
        lacking = missing(log)
        folded = matrix.fold(log.cells, formats, runtimes)
        terminal.write(folded, writer, _rerun(log), log.complete or bool(lacking), str(path))
        if lacking:
            writer.line(f"Missing: {', '.join(lacking)}. What is not here was not run.", yellow=True)
    except BrokenPipeError:
        emit("", None)


def _rerun(log: Log) -> Callable[[Cell], str]:
    """What runs a cell again, from the current folder where the run was on this machine, else from the root's."""
    options = log.environment.get("options", {})
    arguments, exports = options.get("arguments"), options.get("exports")
    said = {str(name): str(text) for name, text in exports.items()} if isinstance(exports, dict) else {}
    words = [str(word).partition("=")[0] for word in arguments] if isinstance(arguments, list) else []
    given = [name for name in rerun.LISTS if f"--modelconform-{name}" in words]
    root = Path(str(log.environment.get("root", "")))

    def command(cell: Cell) -> str:
        is_here = root.is_absolute() and (root / cell.file).is_file()
        words = rerun.export_option(cell, said)
        return rerun.command(cell, given, root if is_here else None, Path.cwd(), words)

    return command


def _markdown(log: Log, arguments: argparse.Namespace) -> str:
    return summary.render(log, arguments.title, arguments.limit)


def _json(log: Log, arguments: argparse.Namespace) -> str:
    return json_report.render(log)


def _csv(log: Log, arguments: argparse.Namespace) -> str:
    return csv_report.render(log)


def _junit(log: Log, arguments: argparse.Namespace) -> str:
    return junit.render(log)


def _pairs(log: Log, arguments: argparse.Namespace) -> str:
    return pairs.render(log)


def _durations(log: Log, arguments: argparse.Namespace) -> str:
    return recordings.render(log)


def _causes(log: Log, arguments: argparse.Namespace) -> str:
    return causes.render(log)


def _html(log: Log, arguments: argparse.Namespace) -> str:
    # By name, when it is asked for: no other format needs it.
    text: str = importlib.import_module("pytest_modelconform.report.html").render(log, title=arguments.title)
    return text


def _write_pages(log: Log, arguments: argparse.Namespace) -> None:
    """To a file, since a large log becomes several of them. Raises Refused."""
    path = arguments.output
    if fault := places.fault_of_file(path):
        raise Refused(fault)
    html = importlib.import_module("pytest_modelconform.report.html")
    try:
        said: str = html.write(log, path, title=arguments.title)
    except OSError as error:
        raise Refused(f"{path} could not be written: {places.why(error)}") from error
    if said:
        print(said)


FORMATS: Mapping[str, Callable[[Log, argparse.Namespace], str]] = {
    "terminal": _terminal,
    "markdown": _markdown,
    "json": _json,
    "csv": _csv,
    "junit": _junit,
    "html": _html,
    "pairs": _pairs,
    "causes": _causes,
    "durations": _durations,
}
_ENDINGS = {
    ".md": "markdown",
    ".json": "json",
    ".csv": "csv",
    ".xml": "junit",
    ".html": "html",
    ".txt": "terminal",
}
