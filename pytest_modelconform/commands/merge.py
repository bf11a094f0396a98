"""`modelconform merge`: the logs of a run's shards as one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..report import log
from ..report.merge import MergeError, merge
from .logs import Refused, load, refuse
from .texts import counted

EXAMPLES = """\
  modelconform merge shard-1.jsonl shard-2.jsonl -o run.jsonl

exit status: 0; 1 if shards are missing or cut off (MERGED says so);
2 if the logs are not of one run."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `modelconform merge`."""
    parser.add_argument("logs", metavar="LOG", type=Path, nargs="+", help="logs of shards, or of parts of a run")
    parser.add_argument("-o", "--output", metavar="MERGED", type=Path, required=True, help="the log to write")


def run(arguments: argparse.Namespace) -> int:
    """Exit status: 0, 1 if shards are missing or cut off (MERGED is written and says so), 2 if they can't be one."""
    try:
        # The same file named twice, as by a pattern and by its name, is one.
        logs = [(str(path), load(path)) for path in dict.fromkeys(arguments.logs)]
        merged = merge(logs)
        log.write(merged, arguments.output)
    except (MergeError, Refused) as error:
        return refuse("merge", Refused(str(error)))
    except OSError as error:
        return refuse("merge", Refused(f"{arguments.output}: {error.strerror or error}"))
    print(f"{arguments.output}: {counted(len(merged.cells), 'cell')} of {counted(len(logs), 'log')}")
    if not merged.complete:
        lacking = ", ".join(log.missing(merged))
        print(f"modelconform merge: missing: {lacking}. Its cells count as not-run.", file=sys.stderr)
        return 1
    return 0
