"""What each report of a large log takes: processor seconds, memory, and how large its file becomes."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pytest_modelconform.report import log
from pytest_modelconform.report.log import Log

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Measured:
    """Of one report. reading: processor seconds of the log, before; seconds: of the report; bytes: of its files.

    memory: the most bytes that the process had resident, those of the log that was read included.
    """

    reading: float
    seconds: float
    memory: int
    bytes: int


def _nothing(found: Log, path: Path) -> None:
    pass


def _html(found: Log, path: Path) -> None:
    from pytest_modelconform.report import html

    html.write(found, path)


def _json(found: Log, path: Path) -> None:
    from pytest_modelconform.report import json_report

    json_report.write(found, path)


def _junit(found: Log, path: Path) -> None:
    from pytest_modelconform.report import junit

    path.write_text(junit.render(found), encoding="utf-8")


def _csv(found: Log, path: Path) -> None:
    from pytest_modelconform.report import csv_report

    path.write_text(csv_report.render(found), encoding="utf-8")


def _markdown(found: Log, path: Path) -> None:
    from pytest_modelconform.report import summary

    path.write_text(summary.render(found), encoding="utf-8")


def _pairs(found: Log, path: Path) -> None:
    from pytest_modelconform.report import pairs

    path.write_text(pairs.render(found), encoding="utf-8")


def _causes(found: Log, path: Path) -> None:
    from pytest_modelconform.report import causes

    path.write_text(causes.render(found), encoding="utf-8")


def _terminal(found: Log, path: Path) -> None:
    from _pytest._io import TerminalWriter

    from pytest_modelconform.report import matrix, terminal

    options = found.environment["options"]
    with path.open("w", encoding="utf-8") as file:
        folded = matrix.fold(found.cells, options["formats"], options["runtimes"])
        terminal.write(folded, TerminalWriter(file), lambda cell: cell.id)


def _merge(found: Log, path: Path) -> None:
    """Four logs of a quarter of the cells each, as shards leave them."""
    from pytest_modelconform.report import merge

    parts = [(f"shard-{n}", Log(found.environment, found.cells[n::4], complete=True)) for n in range(4)]
    log.write(merge.merge(parts), path)


def _diff(found: Log, path: Path) -> None:
    from pytest_modelconform.report import diff

    path.write_text(str(len(diff.compare(found, found).cells)), encoding="utf-8")


def _history(found: Log, path: Path) -> None:
    raise NotImplementedError  # by folder, below


def _write(found: Log, path: Path) -> None:
    log.write(found, path)


REPORTS: Mapping[str, Callable[[Log, Path], None]] = {
    "read": _nothing,
    "write": _write,
    "merge": _merge,
    "terminal": _terminal,
    "html": _html,
    "json": _json,
    "csv": _csv,
    "junit": _junit,
    "markdown": _markdown,
    "pairs": _pairs,
    "causes": _causes,
    "diff": _diff,
}


def measure(name: str, path: Path) -> Measured:
    """In a process of its own, whose memory is that of this report and of nothing else."""
    words = [sys.executable, "-m", "benchmarks.simulation.reports", name, str(path)]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} of {path} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return Measured(**json.loads(done.stdout))


def _measured(name: str, path: Path) -> Measured:
    begun = time.process_time()
    found = log.read(path)
    read = time.process_time()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        REPORTS[name](found, Path(folder, "report"))
        ended = time.process_time()
        files = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    scale = 1 if sys.platform == "darwin" else 1024
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
    return Measured(read - begun, ended - read, memory, files)


def table(paths: Mapping[int, Path], names: list[str]) -> list[dict[str, Any]]:
    """Print a row a report and size, as they come."""
    print(f"{'cells':>7}  {'report':10} {'seconds':>8} {'MB':>6} {'file, MB':>9}")
    rows = []
    for cells, path in paths.items():
        for name in names:
            one = measure(name, path)
            seconds = one.reading if name == "read" else one.seconds
            print(f"{cells:7}  {name:10} {seconds:8.2f} {one.memory / 1e6:6.0f} {one.bytes / 1e6:9.2f}", flush=True)
            rows.append({"cells": cells, "report": name, **asdict(one)})
    return rows


if __name__ == "__main__":
    os.nice(5)
    print(json.dumps(asdict(_measured(sys.argv[1], Path(sys.argv[2])))))
