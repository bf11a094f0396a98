"""How equal the shards of a run are: of its log, split by itself, by another run's log, by estimates.

pytest --modelconform cases/ --modelconform-log run.jsonl
python -m benchmarks.shards run.jsonl [another.jsonl]
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_modelconform.plugin.durations import Estimates
from pytest_modelconform.plugin.shards import seconds_of, split
from pytest_modelconform.report import log, recordings
from pytest_modelconform.terms.cell import Cell

COUNTS = (2, 3, 4, 8, 16)


def units(cells: Sequence[Cell], known: Mapping[str, recordings.Known]) -> dict[str, float]:
    """Seconds of the units of a run, where so much is known."""
    return seconds_of([(unit_of(cell), cell.id) for cell in cells], Estimates(known))


def unit_of(cell: Cell) -> str:
    """As the plugin's of an item."""
    return f"{cell.file}::{cell.case}[{cell.format}]"


def row(took: Mapping[str, float], shards: Mapping[str, int], count: int) -> str:
    """Largest over mean, and how often cases have their references made."""
    load: Counter[int] = Counter()
    for unit, index in shards.items():
        load[index] += took[unit]  # type: ignore[assignment]
    made = {(unit.partition("[")[0], index) for unit, index in shards.items()}
    return f"{max(load.values()) * count / sum(took.values()):9.3f} {len(made):6}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", nargs="+", type=Path, metavar="LOG")
    logs = [log.read(path) for path in parser.parse_args().logs]
    cells = list(dict(logs[0].cells))
    took = units(cells, recordings.of_log(logs[0]))
    seconds = list(took.values())
    print(f"{len(cells)} cells in {len(took)} units take {sum(seconds):.0f} s, the longest {max(seconds):.0f} s")
    print("\nshards  split by                  largest/mean   made")
    by = {"itself": took, **({"the other": units(cells, recordings.of_log(logs[1]))} if logs[1:] else {})}
    by |= {"estimates": units(cells, {}), "cells": dict(Counter(map(unit_of, cells)))}
    for count in COUNTS:
        for name, weights in by.items():
            print(f"{count:6}  {name:24} {row(took, split(weights, count), count)}")


if __name__ == "__main__":
    main()
