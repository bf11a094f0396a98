"""`modelconform badge`: how much of a log passes, as an image or as JSON for shields.io."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from ..report import badge
from .logs import Refused, emit, load, refuse

EXAMPLES = """\
  modelconform badge run.jsonl -o badge.svg
  modelconform badge run.jsonl --runtime ort -o ort.json      for shields.io

exit status: 0; 2 for a file that is no log, or a name that is not in it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `modelconform badge`."""
    parser.add_argument("log", metavar="LOG", type=Path, help="a run's log")
    of = parser.add_mutually_exclusive_group()
    of.add_argument("--case", metavar="C", help="of one case, by name, or file.py::name")
    of.add_argument("--format", metavar="F", help="of one format")
    of.add_argument("--runtime", metavar="R", help="of one runtime")
    parser.add_argument("--label", metavar="TEXT", help="the text on the left (default: the name, or modelconform)")
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, required=True, help="FILE.svg, or FILE.json for shields.io"
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit status: 0, 2 for a file that is no log or a name that is not in it."""
    try:
        suffix = arguments.output.suffix
        if suffix not in (".svg", ".json"):
            raise Refused(f"{arguments.output}: a badge is FILE.svg or FILE.json")
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
        return refuse("badge", Refused(f"an SVG needs {error.name}, which is not installed; a .json does not"))
    return 0
