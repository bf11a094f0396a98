"""What each report of a large log takes: processor seconds, memory, and how large its file becomes."""

from __future__ import annotations

import contextlib
import gc
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pytest_modelconform.report import log
from pytest_modelconform.report.log import Log

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Measured:
    """seconds: of processor time that a report took. bytes: of its files.

    memory: the most bytes that the process had resident meanwhile, those of the log that was read included.
    """

    report: str
    seconds: float
    memory: int
    bytes: int


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

    path.write_text(str(diff.compare(found, found).same), encoding="utf-8")


def _history(found: Log, path: Path) -> None:
    """Of three runs."""
    from pytest_modelconform.report import history

    runs = [history.run_of(f"run-{number}", found) for number in range(3)]
    path.write_text(history.render(runs), encoding="utf-8")


def _durations(found: Log, path: Path) -> None:
    """What a run notes at its end, and what the next one asks of it before it begins."""
    from pytest_modelconform.plugin.durations import Durations
    from pytest_modelconform.plugin.plan import Plan

    cache = path.parent
    noted = Durations(cache, REPOSITORY)
    for cell, outcome in found.cells:
        noted.note(cell.id, sum(outcome.seconds.values()), outcome.seconds.get("export", 0.0), False)
    noted.save()
    Plan([cell.id for cell, _ in found.cells], Durations(cache, REPOSITORY).of_unit, {})


def _write(found: Log, path: Path) -> None:
    log.write(found, path)


REPORTS: Mapping[str, Callable[[Log, Path], None]] = {
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
    "history": _history,
    "durations": _durations,
}


def measured(path: Path, names: Sequence[str]) -> Iterator[Measured]:
    """In a process of its own, so that its memory is that of the log and of one report after another."""
    words = [sys.executable, "-m", "benchmarks.simulation.reports", str(path), *names]
    with subprocess.Popen(words, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield Measured(**json.loads(line))
    if process.returncode:
        raise SystemExit(f"the reports of {path} ended with {process.returncode}")


def _measure(path: Path, names: Sequence[str]) -> Iterator[Measured]:
    begun = time.process_time()
    found = log.read(path)
    yield Measured("read", time.process_time() - begun, _peak(), path.stat().st_size)
    for name in names:
        gc.collect()
        _forget_peak()
        with tempfile.TemporaryDirectory() as folder:
            begun = time.process_time()
            REPORTS[name](found, Path(folder, "report"))
            seconds = time.process_time() - begun
            files = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
        yield Measured(name, seconds, _peak(), files)


def _peak() -> int:
    """Bytes that this process had resident at the most since `_forget_peak`; where there is no /proc, ever."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _forget_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def table(cells: int, path: Path, names: Sequence[str]) -> Iterator[Measured]:
    """Print a row a report, as they come."""
    print(f"{'cells':>7}  {'report':10} {'seconds':>8} {'MB':>6} {'file, MB':>9}")
    for one in measured(path, names):
        print(
            f"{cells:7}  {one.report:10} {one.seconds:8.2f} {one.memory / 1e6:6.0f} {one.bytes / 1e6:9.2f}", flush=True
        )
        yield one


if __name__ == "__main__":
    for one in _measure(Path(sys.argv[1]), sys.argv[2:]):
        print(json.dumps(asdict(one)), flush=True)
