"""`modelconform update-expected`: expected.toml as a log says, for runs that no one session has seen whole."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..report.log import Log
from ..terms import wording
from . import pytest_session
from .logs import Refused, load, refuse

if TYPE_CHECKING:
    from ..plugin.run import Run

EXAMPLES = """\
  modelconform merge shard-*.jsonl -o all.jsonl
  modelconform update-expected all.jsonl          in the folder that the run was in

It does what `pytest --modelconform --modelconform-update-expected` does, without running
a cell. A failure that the `message` of a [[cause]] explains names that cause; others have
the reason TODO until somebody writes one.

exit status: 0; 1 if a file could not be updated; 2 for a file that can't be read as a log."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `modelconform update-expected`."""
    parser.add_argument("log", metavar="LOG", type=Path, help="the log of a run, or what `modelconform merge` wrote")


def run(arguments: argparse.Namespace) -> int:
    """Exit status: 0, 1 if a file could not be updated, 2 for a file that is no log or whose cases are not here."""
    try:
        log = load(arguments.log)
    except Refused as error:
        return refuse("update-expected", error)
    return pytest_session.session("update-expected", lambda run: _update(run, log))


def _update(run: Run, log: Log) -> int:
    from ..plugin.updating import UpdatePlugin

    root = run.config.rootpath
    files = sorted({cell.file for cell, _ in log.cells})
    absent = [file for file in files if not (root / file).is_file()]
    if files and absent == files:
        raise wording.Refused(f"none of the log's case files is here: {absent[0]} is not in {root}")
    updating = UpdatePlugin(run)
    for cell, outcome in dict(log.cells).items():
        if cell.file not in absent:
            updating.note(root / cell.file, cell, outcome)
    said, is_done = updating.rewrite()
    for line in said:
        print(line)
    for file in absent:
        print(f"not updated: {file} is not here", file=sys.stderr)
    return 0 if is_done else 1
