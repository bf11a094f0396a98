"""`modelconform history`: a folder of logs as a page that shows the trend."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..report import history, log
from ..report.log import LogError
from .logs import Refused, emit, load, refuse
from .texts import check_ending, counted

EXAMPLES = """\
  modelconform history logs/ -o history.html

exit status: 0; 2 for a folder without a log."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `modelconform history`."""
    parser.add_argument(
        "folder",
        metavar="FOLDER",
        type=Path,
        help="the folder with the logs (*.jsonl, .xz, .gz), in folders below it as well",
    )
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="the page: FILE.html")
    parser.add_argument("--title", default="History of the compatibility matrix", help="title of the page")


def run(arguments: argparse.Namespace) -> int:
    """Exit status: 0, 2 for a folder without a log. What is no log is named on the page and on stderr."""
    try:
        check_ending(arguments.output, (".html", ".htm"))
    except Refused as error:
        return refuse("history", error)
    runs, unread = [], []
    for path in sorted(file for ending in log.ENDINGS for file in arguments.folder.rglob(f"*{ending}")):
        name = path.relative_to(arguments.folder).as_posix()
        try:
            runs.append(history.run_of(name, load(path)))
        except (Refused, LogError) as error:
            unread.append(str(error))
            print(f"modelconform history: not read: {error}", file=sys.stderr)
    try:
        if not runs:
            raise Refused(f"{arguments.folder} holds no log (*.jsonl). Name the folder with the logs of your runs.")
        emit(history.render(runs, unread, arguments.title), arguments.output)
    except Refused as error:
        return refuse("history", error)
    print(f"{arguments.output}: {counted(len(runs), 'run')}")
    return 0
