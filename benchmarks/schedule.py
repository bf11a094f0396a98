"""How well a run's cells fill several processes: the plan of the plugin, and the log of a run as their lengths.

Nothing is run. What the log doesn't tell is assumed, see the constants: what a process imports, what building a case
takes, references. A process that needs references or an artifact that another one makes waits for it.

    pytest --modelconform cases/ --modelconform-log run.jsonl
    python benchmarks/schedule.py run.jsonl
"""

from __future__ import annotations

import argparse
import heapq
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_modelconform.plugin import plan as planning
from pytest_modelconform.plugin.durations import Durations
from pytest_modelconform.plugin.plan import Plan, scope_of
from pytest_modelconform.report import log

# Seconds: torch in a case host; a library of models in it (by the case's folder); a case built, whenever a process
# turns to another one (processor seconds of the second time in a process: 0.1 for mlp, bert and whisper, 0.7 for
# resnet18, 1.6 for densenet121; the first time takes some 2 more); references besides 8 % of the case's exports; a cell
# besides loads and runs.
IMPORT, LIBRARY, BUILD, REFERENCES, CELL = 4.0, 2.0, 0.5, 2.0, 0.6
REFERENCES_OF_EXPORTS = 0.08
# Runs of a cell for one that the log has the seconds of.
RUNS = 4

Estimate = Callable[[str, Sequence[str], bool], float]


@dataclass
class Run:
    """What a log says. exports: by unit; cells: by node id; references: by what a case host builds."""

    exports: dict[str, float] = field(default_factory=dict)
    cells: dict[str, float] = field(default_factory=dict)
    references: defaultdict[str, float] = field(default_factory=lambda: defaultdict(lambda: REFERENCES))

    @classmethod
    def read(cls, path: Path) -> Run:
        found = cls()
        for cell, outcome in log.read(path).cells:
            seconds = outcome.seconds
            scope = scope_of(cell.id)
            found.exports[scope] = max(found.exports.get(scope, 0.0), seconds.get("export", 0.0))
            found.cells[cell.id] = CELL + seconds.get("load", 0.0) + RUNS * seconds.get("run", 0.0)
        for scope, export in found.exports.items():
            found.references[built(scope)] += REFERENCES_OF_EXPORTS * export
        found.cells = dict(sorted(found.cells.items(), key=lambda entry: (entry[0].partition("[")[0], entry[0])))
        return found

    def recorded(self, scope: str, items: Sequence[str], makes: bool) -> float:
        """What the plugin would know from a run before."""
        return (self.exports[scope] if makes else 0.0) + sum(self.cells[item] for item in items)


def built(scope: str) -> str:
    """Of a unit's name, what a case host builds: case, dtype and task."""
    head, _, rest = scope.partition("[")
    return "-".join([head, *rest.split("-")[1:]])


@dataclass
class Process:
    """One of the session's. queue: what it was told of; busy: seconds that it worked; ended: when it did so last."""

    queue: list[str] = field(default_factory=list)
    is_running: bool = False
    busy: float = 0.0
    ended: float = 0.0
    case: str = ""
    imported: set[str] = field(default_factory=set)


class Machine:
    """Several processes that run a plan."""

    def __init__(self, run: Run, estimate: Estimate, processes: int) -> None:
        self.run = run
        self.now = 0.0
        self.plan = plan = Plan(run.cells, estimate, {}, lambda: self.now)
        self.processes = [Process() for _ in range(processes)]
        # When references and artifacts are there, or will be.
        self.referenced: dict[str, float] = {}
        self.exported: dict[str, float] = {}
        for number in range(processes):
            plan.join(number)

    def wall(self) -> float:
        """Seconds until the last cell has ended."""
        events: list[tuple[float, int, str]] = []
        while True:
            now = self.now
            for number, process in enumerate(self.processes):
                process.queue += self.plan.next(number)
                is_known = len(process.queue) > 1 or self.plan.is_at_end(number)
                if not process.is_running and process.queue and is_known:
                    process.is_running = True
                    item = process.queue.pop(0)
                    heapq.heappush(events, (self._end(process, item, now), number, item))
            if not events:
                return now
            self.now, number, item = heapq.heappop(events)
            self.processes[number].is_running = False
            self.processes[number].ended = self.now
            self.plan.done(number, item)

    def _end(self, process: Process, item: str, now: float) -> float:
        """When a process that begins a cell now will end it."""
        scope = scope_of(item)
        case = built(scope)
        works = waits = 0.0
        if case not in self.referenced:
            works += self._built(process, case) + self.run.references[case]
            self.referenced[case] = now + works
        else:
            waits += max(0.0, self.referenced[case] - now)
        if scope in self.exported:
            waits += max(0.0, self.exported[scope] - now - works - waits)
        else:
            if self.run.exports[scope]:
                works += self._built(process, case) + self.run.exports[scope]
            self.exported[scope] = now + works + waits
        works += self.run.cells[item]
        process.busy += works
        return now + works + waits

    def _built(self, process: Process, case: str) -> float:
        """Seconds until the case host of a process has built a case."""
        libraries = {"torch": IMPORT, str(Path(case).parent): LIBRARY}
        seconds = sum(libraries[name] for name in libraries.keys() - process.imported)
        process.imported |= libraries.keys()
        if process.case != case:
            process.case = case
            seconds += BUILD
        return seconds


def figures(run: Run, estimate: Estimate, processes: int, slack: float) -> str:
    """A row of the table. slack: 0 for the longest first, whatever a process has built."""
    planning._SLACK = slack
    machine = Machine(run, estimate, processes)
    wall = machine.wall()
    busy = sum(process.busy for process in machine.processes)
    first = min(process.ended for process in machine.processes)
    return f"{wall:6.0f} s {busy:6.0f} s {1 - busy / (wall * processes):6.1%} {wall - first:5.0f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path, help="of a run that made all artifacts, see --modelconform-log")
    run = Run.read(parser.parse_args().log)
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
                print(f"{processes:9}  {name:34} {figures(run, estimate, processes, stays)}")


if __name__ == "__main__":
    main()
