"""Past what we have: the plan, the reports and the pages of as many cells as one likes, drawn from the log of a run.

    pytest --modelconform cases/ --modelconform-log run.jsonl
    python -m benchmarks.simulation schedule run.jsonl                    its cells on 1 to 16 processes
    python -m benchmarks.simulation many run.jsonl                        100,000 cells on 10 to 1,000 processes
    python -m benchmarks.simulation reports run.jsonl                     each report of 2,000, 20,000 and 100,000 cells
    python -m benchmarks.simulation pages run.jsonl --cells 20000 100000  needs Playwright, and a Chromium on PATH

A log of a run that made all artifacts is best: it knows how long they take.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from . import pages, reports, schedule
from .records import Source


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="benchmarks.simulation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["schedule", "many", "reports", "pages"])
    parser.add_argument("log", type=Path, help="of a run, see --modelconform-log")
    parser.add_argument("--cells", type=int, nargs="+", help="how many (default: 100000; of reports: also 2000, 20000)")
    parser.add_argument("--processes", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--only", nargs="+", choices=[*reports.REPORTS], default=[*reports.REPORTS])
    parser.add_argument("--wide", type=int, default=1, help="so many times as many columns, and fewer rows")
    parser.add_argument("--json", type=Path, help="write the figures of the reports to a file")
    parser.add_argument("--pictures", type=Path, help="a folder for pictures of the pages")
    given = parser.parse_args()
    if given.what == "schedule":
        schedule.real(given.log)
    elif given.what == "many":
        for cells in given.cells or [100_000]:
            schedule.many(given.log, cells, given.processes)
    elif given.what == "pages":
        pages.measure(given.log, given.cells or [20_000, 100_000], given.wide, given.pictures)
    else:
        source = Source.read(given.log)
        with tempfile.TemporaryDirectory() as folder:
            rows = []
            for cells in given.cells or [2_000, 20_000, 100_000]:
                path = Path(folder, f"{cells}.jsonl")
                source.write(path, cells, given.wide)
                rows += [{"cells": cells, **asdict(one)} for one in reports.table(cells, path, given.only)]
                path.unlink()
        if given.json:
            given.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
