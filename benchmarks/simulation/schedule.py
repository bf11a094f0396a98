"""How well a run's cells fill several processes: the plan of the plugin, and the log of a run as their lengths."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pytest_modelconform.plugin import plan as planning
from pytest_modelconform.plugin.durations import Durations

from .machine import Estimate, Machine, Run, replayed
from .records import Source

# What two runs of the same cells on one machine differ by, in most units: see docs/reports.md, "What changed".
_SPREAD = 2.0


def real(path: Path) -> None:
    """The cells of a log as they are, on few processes."""
    run = Run.read(path)
    longest = max(run.exports, key=lambda scope: run.exports[scope])
    print(f"{len(run.cells)} cells in {len(run.exports)} units; exports take {sum(run.exports.values()):.0f} s,")
    print(f"the longest {run.exports[longest]:.0f} s: {longest}]")
    print("\nprocesses  order                                   wall     work   idle  first idle")
    slack = planning._SLACK
    with tempfile.TemporaryDirectory() as nothing:
        unknown = Durations(Path(nothing), Path(nothing))
        for processes in (1, 2, 4, 8, 16):
            for name, estimate, stays in (
                ("the plan, first run", unknown.of_unit, slack),
                ("the plan, with durations of a run", run.recorded, slack),
                ("the longest first, with durations", run.recorded, 0.0),
            ):
                print(f"{processes:9}  {name:34} {_figures(run, estimate, processes, stays)}", flush=True)


def _figures(run: Run, estimate: Estimate, processes: int, slack: float) -> str:
    """A row of the table. slack: 0 for the longest first, whatever a process has built."""
    before, planning._SLACK = planning._SLACK, slack
    try:
        machine = Machine(run, estimate, processes)
        wall = machine.wall()
    finally:
        planning._SLACK = before
    busy = sum(process.busy for process in machine.processes)
    first = min(process.ended for process in machine.processes)
    return f"{wall:6.0f} s {busy:6.0f} s {1 - busy / (wall * processes):6.1%} {wall - first:5.0f} s"


def many(path: Path, cells: int, counts: list[int]) -> None:
    """As many cells as one likes, drawn from a log, on many processes: the end beside the bound, the plan's time."""
    first = Run.of(Source.read(path).cells(cells))
    print(f"{len(first.cells)} cells in {len(first.exports)} units")
    print("\nprocesses  run                                    wall    bound  ratio   idle  plan itself")
    with tempfile.TemporaryDirectory() as nothing:
        unknown = Durations(Path(nothing), Path(nothing))
        for processes in counts:
            for name, run, estimate in (
                ("first, nothing known", first, unknown.of_unit),
                ("first, recorded on another machine", first, first.recorded_by(_SPREAD)),
                ("first, recorded", first, first.recorded),
                ("again, recorded", first.again(), first.again().recorded),
            ):
                print(f"{processes:9}  {name:34} {_row(run, estimate, processes)}", flush=True)


def _row(run: Run, estimate: Estimate, processes: int) -> str:
    machine = Machine(run, estimate, processes)
    wall = machine.wall()
    bound = run.bound(processes)
    busy = sum(process.busy for process in machine.processes)
    took = replayed(machine, estimate)
    return f"{wall:6.0f} s {bound:6.0f} s {wall / bound:6.3f} {1 - busy / (wall * processes):6.1%} {took:9.2f} s"
