"""Run all formats and runtimes over all cases, go on where the last run ended, and write what it came to."""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_modelconform.cache.store import default_folder
from pytest_modelconform.plugin.durations import Durations
from pytest_modelconform.plugin.items import CellItem
from pytest_modelconform.plugin.plan import scope_of
from pytest_modelconform.report import log
from pytest_modelconform.report.merge import MergeError
from pytest_modelconform.terms.cell import COLLECT, Cell
from pytest_modelconform.terms.outcome import Verdict

from .columns import GROUPS, Group, grouped
from .joined import RECORDS, joined, write
from .kept import Kept

_GIB = 1 << 30
_QUIET = ("-p", "no:cacheprovider", "-p", "no:anyio", "-o", "addopts=", "-o", "filterwarnings=", "--tb=no", "-q")


class _EndedError(Exception):
    """Somebody ends this process."""


def _end(number: int, frame: object) -> None:
    raise _EndedError


def main(words: Sequence[str] | None = None) -> int:
    """Exit status: 0 if all cells have run, 1 if some are left, 2 for a wrong command line."""
    given = _arguments(words)
    # A shell has what it starts in the background ignore this, and sessions would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _end)
    root = Path.cwd()
    kept = Kept(given.logs, root, root / "docs" / RECORDS)
    if given.again:
        verdicts = [Verdict(given.again_if)] if given.again_if else []
        print(f"{kept.forget(given.again, verdicts)} records are forgotten: {given.again}")
    cells = _shard(collected(given.cases, given.mark), given.shard)
    every = grouped(cells)
    names = dict.fromkeys(group.name for group in (*GROUPS, *(group for group, _ in every)))
    wanted = given.groups.split(",") if given.groups else list(names)
    if unknown := [name for name in wanted if name not in names]:
        print(f".ci/matrix: no group {unknown[0]!r}; there are: {', '.join(names)}", file=sys.stderr)
        return 2
    groups = sorted((pair for pair in every if pair[0].name in wanted), key=lambda pair: wanted.index(pair[0].name))
    _plan(groups, kept, root)
    if not (given.plan or given.join):
        until = time.monotonic() + given.minutes * 60
        for group, of in groups:
            if not _run(group, of, kept, given, until):
                break
    if not given.plan:
        try:
            whole = joined(kept, cells, root)
        except MergeError as error:
            print(f".ci/matrix: {error}", file=sys.stderr)
            return 2
        log.write(whole, given.logs / "all.jsonl")
        write(whole, given.logs)
        if given.docs or given.records:
            write(whole, root / "docs", ("matrix.md", "matrix.html", RECORDS) if given.docs else (RECORDS,))
        lacking = ", ".join(whole.environment.get("missing", ())) or "nothing"
        print(f"{given.logs / 'all.jsonl'}: {len(whole.cells)} cells; not run yet: {lacking}")
    done = kept.cells()
    return int(any(cell not in done for _, of in groups for cell in of))


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=".ci/matrix", description=__doc__)
    parser.add_argument("cases", nargs="*", default=["cases"], help="case files and folders (default: cases)")
    parser.add_argument(
        "--logs",
        type=Path,
        default=Path(os.environ.get("LOGS", ".matrix")),
        help="folder for the logs; what they hold isn't run again (default: $LOGS, else .matrix)",
    )
    parser.add_argument("--groups", help="groups of columns, in this order, separated by commas (default: all)")
    parser.add_argument(
        "--shard", type=_part, default=(1, 1), metavar="I/N", help="the I-th of N parts of the case files"
    )
    parser.add_argument("--mark", default=os.environ.get("MARK", "task_inference"), help="pytest's -m")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so long; the next run goes on")
    parser.add_argument("--free", type=float, default=6, metavar="GIB", help="stop if the disk has less free (6)")
    parser.add_argument("--timeout", default="900", help="seconds for a cell (900)")
    parser.add_argument("-n", dest="processes", default="", help="processes (default: as pytest --modelconform)")
    parser.add_argument("--plan", action="store_true", help="only say what is left, and about how long it takes")
    parser.add_argument("--join", action="store_true", help="only join the logs that are there")
    parser.add_argument(
        "--docs", action="store_true", help=f"write matrix.md, matrix.html and {RECORDS} into docs, too"
    )
    parser.add_argument(
        "--records", action="store_true", help=f"write docs/{RECORDS} only, which other machines go on from"
    )
    parser.add_argument("--again", metavar="GLOB", help="run cells again whose id this matches")
    parser.add_argument(
        "--again-if",
        choices=[v.value for v in Verdict],
        metavar="VERDICT",
        help="of these only those with this verdict",
    )
    return parser.parse_args(words)


class _Collector:
    """pytest's plugin that keeps the cells of a collection."""

    def __init__(self) -> None:
        self.cells: list[Cell] = []
        # Cells that can't be collected, each with the reason.
        self.faults: dict[str, str] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            if isinstance(item, CellItem):
                if item.cell.format == COLLECT and item.settled is not None:
                    self.faults[item.nodeid] = item.settled.message
                else:
                    self.cells.append(item.cell)


def collected(cases: Sequence[str], mark: str) -> list[Cell]:
    """All cells of case files and folders in all formats and runtimes that this machine may have."""
    found = _Collector()
    words = [*_QUIET, "-qqq", "--assert=plain", "--disable-warnings", "--collect-only", "-n0"]
    words += ["--modelconform", "--modelconform-slow", "-m", mark]
    words += ["--modelconform-formats=all", "--modelconform-runtimes=all"]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        status = pytest.main([*words, *cases], plugins=[found])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        print(said.getvalue(), file=sys.stderr)
        raise SystemExit(2)
    if found.faults:
        # Without its cells, what is joined would lack those that ran before.
        for name, why in found.faults.items():
            print(f".ci/matrix: {name}: {why}", file=sys.stderr)
        raise SystemExit(2)
    return found.cells


def _part(text: str) -> tuple[int, int]:
    """I/N as two numbers."""
    index, count = map(int, text.split("/"))
    if not 1 <= index <= count:
        raise ValueError
    return index, count


_part.__name__ = "shard"


def _shard(cells: Sequence[Cell], shard: tuple[int, int]) -> list[Cell]:
    index, count = shard
    files = sorted({cell.file for cell in cells})
    mine = set(files[index - 1 :: count])
    return [cell for cell in cells if cell.file in mine]


def _plan(groups: Sequence[tuple[Group, Sequence[Cell]]], kept: Kept, root: Path) -> None:
    """Say how much of each group is left, by how long such cells took before."""
    durations = Durations(default_folder(), root)
    done = kept.cells()
    total = 0.0
    print(f"{'columns':18}{'cells':>7}{'left':>7}{'about':>9}")
    for group, cells in groups:
        left = [cell for cell in cells if cell not in done]
        units: defaultdict[str, list[str]] = defaultdict(list)
        for cell in left:
            units[scope_of(cell.id)].append(cell.id)
        seconds = sum(durations.of_unit(scope, ids) for scope, ids in units.items())
        total += seconds
        print(f"{group.name:18}{len(cells):7}{len(left):7}{seconds / 60:7.0f} m")
    print(f"about {total / 60:.0f} minutes of one process", flush=True)


def _run(group: Group, cells: Sequence[Cell], kept: Kept, given: argparse.Namespace, until: float) -> bool:
    """Run what is left of a group. Whether to go on with the next one."""
    done = kept.cells()
    left = [cell for cell in cells if cell not in done]
    if not left:
        return True
    # The logs of several machines end in one folder.
    index, count = given.shard
    part = f"-{index}-of-{count}" if count > 1 else ""
    path = kept.begin(group.name + part, (cell.file for cell in left))
    ids = path.with_suffix(".txt")
    ids.write_text("".join(f"{cell.id}\n" for cell in left))
    words = [
        sys.executable,
        "-m",
        "pytest",
        *_QUIET,
        "--modelconform",
        "--modelconform-slow",
        "--modelconform-blame=off",
    ]
    # A name that has no cell ends a run: those of these cells only. (A model check has none, and runs with any.)
    formats = dict.fromkeys(cell.format for cell in left if not cell.is_check) or group.formats
    runtimes = dict.fromkeys(cell.runtime for cell in left if not cell.is_check) or group.runtimes
    words += [f"--modelconform-formats={','.join(formats)}", f"--modelconform-runtimes={','.join(runtimes)}"]
    words += [f"--modelconform-log={path}", f"--modelconform-timeout={given.timeout}", "--modelconform-threads=0"]
    words += ["-n", given.processes] if given.processes else []
    begun = time.monotonic()
    with path.with_suffix(".out").open("wb") as out:
        process = subprocess.Popen([*words, f"@{ids}"], stdout=out, stderr=subprocess.STDOUT)
        why = _waited(process, until, given.logs, given.free)
    ids.unlink()
    counts = Counter(o.verdict.value for o, part in kept.cells().values() if part.path == path)
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()) or "nothing"
    print(f"{group.name}: {said}; {(time.monotonic() - begun) / 60:.0f} min, status {process.returncode}", flush=True)
    if why:
        print(why, flush=True)
    return not why


def _waited(process: subprocess.Popen[bytes], until: float, folder: Path, least: float) -> str:
    """Wait for a session, and end it where time or the disk is used up: why, or nothing."""
    why = ""
    try:
        while process.poll() is None:
            time.sleep(1)
            if not why and time.monotonic() > until:
                why = "The time is used up: the same command goes on from here."
            elif not why and (free := shutil.disk_usage(folder).free / _GIB) < least:
                why = f"Only {free:.1f} GiB are free: `modelconform cache prune`, then the same command goes on."
            else:
                continue
            process.send_signal(signal.SIGINT)
    except (KeyboardInterrupt, _EndedError) as interrupt:
        # At a terminal, pytest had the same Ctrl-C. Either way it ends its cells and closes its log.
        if isinstance(interrupt, _EndedError):
            process.send_signal(signal.SIGINT)
        process.wait()
        why = "Interrupted: the same command goes on from here."
    return why


if __name__ == "__main__":
    sys.exit(main())
