"""Processes that run a plan, by a simulated clock, and the log of a real run as the lengths of its cells.

Nothing is run. What the log doesn't tell is assumed, see the constants: what a process imports, what building a case
takes, references. A process that needs references or an artifact that another one makes waits for it.
"""

from __future__ import annotations

import heapq
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_modelconform.plugin.plan import Plan, scope_of
from pytest_modelconform.report import log
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome

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
        return cls.of(log.read(path).cells)

    @classmethod
    def of(cls, cells: Iterable[tuple[Cell, Outcome]]) -> Run:
        found = cls()
        for cell, outcome in cells:
            seconds = outcome.seconds
            scope = scope_of(cell.id)
            found.exports[scope] = max(found.exports.get(scope, 0.0), seconds.get("export", 0.0))
            found.cells[cell.id] = CELL + seconds.get("load", 0.0) + RUNS * seconds.get("run", 0.0)
        for scope, export in found.exports.items():
            found.references[built(scope)] += REFERENCES_OF_EXPORTS * export
        found.cells = dict(sorted(found.cells.items(), key=lambda entry: (entry[0].partition("[")[0], entry[0])))
        return found

    def again(self) -> Run:
        """The same with everything in the cache."""
        return Run(dict.fromkeys(self.exports, 0.0), dict(self.cells), defaultdict(float))

    def recorded(self, scope: str, items: Sequence[str], makes: bool) -> float:
        """What the plugin would know from a run before."""
        return (self.exports[scope] if makes else 0.0) + sum(self.cells[item] for item in items)

    def recorded_by(self, spread: float) -> Estimate:
        """The same by another run, in which each unit took up to `spread` times as long, or as short."""

        def estimate(scope: str, items: Sequence[str], makes: bool) -> float:
            factor: float = spread ** random.Random(scope).uniform(-1.0, 1.0)
            return self.recorded(scope, items, makes) * factor

        return estimate

    @property
    def work(self) -> float:
        """Seconds of what has to be done however it is divided: no imports, no case built twice."""
        built_cases = {built(scope) for scope in self.exports}
        references = sum(self.references[case] for case in built_cases)
        return sum(self.exports.values()) + sum(self.cells.values()) + references

    def bound(self, processes: int) -> float:
        """Seconds that no plan ends before: the work divided, or the longest unit with what it rests on."""
        units: defaultdict[str, float] = defaultdict(float)
        for item, seconds in self.cells.items():
            units[scope_of(item)] += seconds
        return max(self.work / processes, max(units[scope] + self.exports[scope] for scope in units))


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
    """Several processes that run a plan.

    asked: what the plan was asked and told, in order, each with the time on the clock, for `replayed`.
    """

    def __init__(self, run: Run, estimate: Estimate, processes: int) -> None:
        self.run = run
        self.now = 0.0
        self.plan = Plan(run.cells, estimate, {}, lambda: self.now)
        self.processes = [Process() for _ in range(processes)]
        self.asked: list[tuple[float, int, str]] = []
        # When references and artifacts are there, or will be.
        self.referenced: dict[str, float] = {}
        self.exported: dict[str, float] = {}
        for number in range(processes):
            self.plan.join(number)

    def wall(self) -> float:
        """Seconds until the last cell has ended."""
        events: list[tuple[float, int, str]] = []
        # Those that know one cell only, and begin it when they know that there is no other.
        waiting = set(range(len(self.processes)))
        told = sorted(waiting)
        while True:
            for number in told:
                self._tell(number, events, waiting)
            if not events:
                return self.now
            self.now, number, item = heapq.heappop(events)
            process = self.processes[number]
            process.is_running = False
            process.ended = self.now
            self.asked.append((self.now, number, item))
            self.plan.done(number, item)
            waiting.add(number)
            told = [number, *sorted(waiting - {number})] if len(waiting) > 1 else [number]

    def _tell(self, number: int, events: list[tuple[float, int, str]], waiting: set[int]) -> None:
        process = self.processes[number]
        process.queue += self.plan.next(number)
        self.asked.append((self.now, number, ""))
        is_at_end = self.plan.is_at_end(number)
        if not process.is_running and process.queue and (len(process.queue) > 1 or is_at_end):
            process.is_running = True
            item = process.queue.pop(0)
            heapq.heappush(events, (self._end(process, item, self.now), number, item))
        if process.is_running or is_at_end:
            waiting.discard(number)

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
        if not any(self.run.references.values()):
            return 0.0  # All is in the cache.
        libraries = {"torch": IMPORT, str(Path(case).parent): LIBRARY}
        seconds = sum(libraries[name] for name in libraries.keys() - process.imported)
        process.imported |= libraries.keys()
        if process.case != case:
            process.case = case
            seconds += BUILD
        return seconds


def replayed(machine: Machine, estimate: Estimate) -> float:
    """Processor seconds that the plan itself takes for a whole run, estimates included: the same asked of another."""
    now = 0.0
    begun = time.process_time()
    plan = Plan(machine.run.cells, estimate, {}, lambda: now)
    for number in range(len(machine.processes)):
        plan.join(number)
    for then, number, item in machine.asked:
        now = then
        if item:
            plan.done(number, item)
        else:
            plan.next(number)
            plan.is_at_end(number)
    return time.process_time() - begun
