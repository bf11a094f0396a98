"""`modelconform diff`: what changed between two runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from ..report import changes, summary
from ..report.diff import Diff, compare
from .logs import Refused, emit, load, refuse

_LEAST_LIMIT = 2000
# What --fail-on may name: the changes that are meant.
FAILURES: Mapping[str, Callable[[Diff], bool]] = {
    "regressions": lambda diff: bool(diff.regressions),
    "worse": lambda diff: any(change.worse for change in diff.numbers),
    "gone": lambda diff: bool(diff.gone),
    "incomplete": lambda diff: bool(diff.incomplete),
    "none": lambda diff: False,
}

EXAMPLES = """\
  modelconform diff main.jsonl branch.jsonl
  modelconform diff main.jsonl branch.jsonl --fail-on regressions,gone -o comment.md

exit status: 0; 1 for what --fail-on names; 2 for a file that is no log."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `modelconform diff`."""
    parser.add_argument("old", metavar="OLD", type=Path, help="the log to compare with")
    parser.add_argument("new", metavar="NEW", type=Path, help="the log that is judged")
    parser.add_argument("--format", choices=["text", "markdown", "html"], help="default: as FILE is called, else text")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write to a file")
    parser.add_argument(
        "--fail-on",
        default="regressions",
        metavar="LIST",
        help="what makes the exit status 1, separated by commas: regressions (default), worse (bits, size or input "
        "sets of what still passes), gone (cells that NEW lacks or did not run), incomplete (a log is cut off), none",
    )
    parser.add_argument(
        "--limit",
        type=int,
        default=summary.LIMIT,
        metavar="BYTES",
        help="how long Markdown may be: GitHub takes 65536 characters as a comment",
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit status: 0, 1 for what --fail-on names, 2 for a file that is no log."""
    try:
        words = [word.strip() for word in arguments.fail_on.split(",") if word.strip()]
        if unknown := [word for word in words if word not in FAILURES]:
            raise Refused(f"--fail-on: {unknown[0]!r} is none of {', '.join(FAILURES)}")
        if arguments.limit < _LEAST_LIMIT:
            raise Refused(f"--limit: {arguments.limit} is too little for anything, take {_LEAST_LIMIT} or more")
        diff = compare(load(arguments.old), load(arguments.new))
        suffix = arguments.output.suffix if arguments.output else ""
        name = arguments.format or {".md": "markdown", ".html": "html"}.get(suffix, "text")
        if name == "markdown":
            text = changes.markdown(diff, arguments.limit)
        else:
            text = changes.html(diff) if name == "html" else changes.text(diff)
        emit(text, arguments.output)
    except Refused as error:
        return refuse("diff", error)
    return int(any(FAILURES[word](diff) for word in words))
