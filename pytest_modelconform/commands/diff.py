"""`modelconform diff`: what changed between two runs."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Mapping
from pathlib import Path

from ..report import changes, summary
from ..report.diff import Diff, compare
from .logs import Refused, emit, load, refuse
from .texts import format_of

_LEAST_LIMIT = 2000
# What --fail-on may name: the changes that are meant.
FAILURES: Mapping[str, Callable[[Diff], bool]] = {
    "regressions": lambda diff: bool(diff.regressions),
    "worse": lambda diff: any(change.worse for change in diff.numbers),
    "gone": lambda diff: bool(diff.gone),
    "incomplete": lambda diff: bool(diff.incomplete),
    "none": lambda diff: False,
}

_ENDINGS = {".md": "markdown", ".html": "html", ".txt": "text"}

EXAMPLES = """\
  modelconform diff main.jsonl branch.jsonl
  modelconform diff main.jsonl branch.jsonl --fail-on regressions,gone,incomplete -o comment.md

exit status: 0; 1 for what --fail-on names; 2 for a file that can't be read as a log."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `modelconform diff`."""
    parser.add_argument("old", metavar="OLD", type=Path, help="the log to compare with")
    parser.add_argument("new", metavar="NEW", type=Path, help="the log that is judged")
    parser.add_argument(
        "--format", choices=["text", "markdown", "html"], help="default: by the ending of FILE, or text"
    )
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write to a file")
    parser.add_argument(
        "--fail-on",
        default="regressions",
        metavar="LIST",
        help="what makes the exit status 1, separated by commas: regressions (cells that passed and fail now; the "
        "default), worse (cells that still pass, with fewer bits or input sets, or larger artifacts), gone (cells that "
        "NEW lacks or did not run), incomplete (a log is cut off), none",
    )
    parser.add_argument(
        "--limit",
        type=int,
        default=summary.LIMIT,
        metavar="BYTES",
        help="longest Markdown page: GitHub takes 65536 characters as a comment",
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit status: 0, 1 for what --fail-on names, 2 for a file that is no log."""
    try:
        words = [word.strip() for word in arguments.fail_on.split(",") if word.strip()]
        if unknown := [word for word in words if word not in FAILURES]:
            near = difflib.get_close_matches(unknown[0], FAILURES, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise Refused(f"--fail-on: unknown word {unknown[0]!r}.{hint} Known words: {', '.join(FAILURES)}.")
        if arguments.limit < _LEAST_LIMIT:
            raise Refused(f"--limit {arguments.limit} is too small for a page: give {_LEAST_LIMIT} or more.")
        name = arguments.format or format_of(arguments.output, _ENDINGS, "text")
        diff = compare(load(arguments.old), load(arguments.new))
        if name == "markdown":
            text = changes.markdown(diff, arguments.limit)
        else:
            text = changes.html(diff) if name == "html" else changes.text(diff)
        emit(text, arguments.output)
    except Refused as error:
        return refuse("diff", error)
    return int(any(FAILURES[word](diff) for word in words))
