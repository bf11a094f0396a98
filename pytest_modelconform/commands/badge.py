"""`modelconform badge`: how much of a log passes, as an image or as JSON for shields.io."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from ..report import badge
from .logs import Refused, emit, load, refuse
from .texts import check_ending

EXAMPLES = """\
  modelconform badge run.jsonl -o badge.svg
  modelconform badge run.jsonl --runtime ort -o ort.json      for shields.io

exit status: 0; 2 for a file that can't be read as a log, or a name that is not in it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `modelconform badge`."""
    parser.add_argument("log", metavar="LOG", type=Path, help="the log of a run")
    of = parser.add_mutually_exclusive_group()
    of.add_argument("--case", metavar="C", help="count one case, by its name or as file.py::name")
    of.add_argument("--format", metavar="F", help="count one format")
    of.add_argument("--runtime", metavar="R", help="count one runtime")
    parser.add_argument("--label", metavar="TEXT", help="the text on the left (default: the name, or modelconform)")
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, required=True, help="FILE.svg, or FILE.json for shields.io"
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit status: 0, 2 for a file that is no log or a name that is not in it."""
    try:
        suffix = arguments.output.suffix.lower()
        check_ending(arguments.output, (".svg", ".json"))
        log = load(arguments.log)
        if arguments.case is not None:
            made = badge.of_case(log, arguments.case)
        elif arguments.format is not None:
            made = badge.of_format(log, arguments.format)
        else:
            made = badge.of_all(log) if arguments.runtime is None else badge.of_runtime(log, arguments.runtime)
        if arguments.label is not None:
            made = replace(made, label=arguments.label)
        emit(badge.svg(made) if suffix == ".svg" else badge.endpoint(made), arguments.output)
    except (Refused, badge.UnknownName) as error:
        return refuse("badge", Refused(str(error)))
    except ModuleNotFoundError as error:
        return refuse(
            "badge", Refused(f"an SVG needs the package {error.name}, which is not installed. A .json file does not.")
        )
    return 0
