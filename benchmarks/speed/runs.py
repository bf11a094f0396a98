"""Ours: the first run, the second, and a new file."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_modelconform.cells.registry import Registry

from .measuring import REPOSITORY, Failed, Measured, count_of, environment_of, measure, time_of
from .table import Row

# Kinds of core-seconds that are the work itself; the rest is what we add to it.
WORK = ("export", "load", "run", "reference", "harness")
FIRST_GOAL, FIRST_RATIO = 600.0, 1.1
SECOND_GOAL, SECOND_RATIO = 60.0, 0.12
# A new file: without aoti and with it where harnesses are, and with it where there is nothing.
FILE_GOALS = {"without aoti": 25.0, "with aoti": 45.0, "nothing cached": 75.0}
FILE_NAMES = {
    "without aoti": "where harnesses are, without aoti",
    "with aoti": "where harnesses are, with aoti",
    "nothing cached": "where nothing is cached, with aoti",
}

# A stranger's first case. The number makes it new to the cache.
NEW_FILE = """\
import torch
from pytest_modelconform import Case, generic_weights


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.features = torch.nn.Sequential(
            torch.nn.Conv2d(3, 16, 3, padding=1), torch.nn.BatchNorm2d(16), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
            torch.nn.Conv2d(16, 32, 3, padding=1), torch.nn.BatchNorm2d(32), torch.nn.ReLU(),
            torch.nn.AdaptiveAvgPool2d(1),
        )
        self.classifier = torch.nn.Linear(32, 10)

    def forward(self, x):
        return self.classifier(self.features(x * {number}).flatten(1))


net = Case(
    model=lambda: generic_weights(Net()),
    inputs={{"one": lambda: (torch.rand(1, 3, 32, 32),), "four": lambda: (torch.rand(4, 3, 32, 32),)}},
    dynamic_shapes={{"x": {{0: "batch"}}}},
)
"""


class Runs:
    """Runs of the cases in a folder of this session's. more: options of pytest's, such as `-n 2`."""

    def __init__(
        self, registry: Registry, folder: Path, cases: Sequence[str], more: Sequence[str], environments: Path | None
    ) -> None:
        self.registry = registry
        self.folder = folder
        self.cases = cases
        self.more = more
        self.environments = environments
        self.cache = self._new_cache("cache")
        self._first: Measured | None = None
        self._has_harnesses = (self.cache / "harness").exists()

    def first(self) -> list[Row]:
        """Nothing is cached."""
        if (self.cache / "artifacts").exists():
            raise Failed(f"{self.cache} is from an earlier run: name another --folder for a first run")
        found, log = self._run("first", self.cases, self.cache)
        self._first = found
        self._has_harnesses = True
        time, cores = time_of(log), int(environment_of(log)["cores"])
        work = sum(time["core_seconds"].get(kind, 0.0) for kind in WORK)
        rest = {kind: s for kind, s in time["core_seconds"].items() if kind not in WORK}
        note = f"{count_of(log)} cells; core-seconds: {_listed(time['core_seconds'])}"
        details = self._details(found, log)
        is_all = list(self.cases) == ["cases"]
        return [
            Row("First run", "wall", found.wall, goal=FIRST_GOAL if is_all else None, note=note, details=details),
            Row("First run", f"wall × {cores} cores / core-seconds of the work", found.wall * cores / work, "×",
                FIRST_RATIO, f"the work: {_listed(_only(time['core_seconds'], WORK))}; besides: {_listed(rest)}"),
        ]  # fmt: skip

    def second(self) -> list[Row]:
        """All is cached."""
        if self._first is None:
            self.first()
        assert self._first is not None
        found, log = self._run("second", self.cases, self.cache)
        goal = SECOND_GOAL if list(self.cases) == ["cases"] else None
        note = f"core-seconds: {_listed(time_of(log)['core_seconds'])}"
        return [
            Row("Second run", "wall", found.wall, goal=goal, note=note, details=self._details(found, log)),
            Row("Second run", "wall / that of the first", found.wall / self._first.wall, "×", SECOND_RATIO),
        ]

    def new_file(self) -> list[Row]:
        """A file that is new, where harnesses are and where they are not."""
        if not self._has_harnesses:
            # What a machine has on which this was used before: one case of the same kind.
            self._run("before", [self._file("before")], self.cache)
        # A format that is named has to have a cell: those that need more of a case have none.
        formats = [name for name in self.registry.select_formats(()) if not self.registry.format(name).NEEDS]
        without = ["--modelconform-formats", ",".join(name for name in formats if name != "aoti")]
        rows = []
        for key, name in FILE_NAMES.items():
            options = without if key == "without aoti" else []
            cache = self._new_cache("empty") if key == "nothing cached" else self.cache
            found, log = self._run(key, [self._file(key)], cache, options)
            note = f"{count_of(log)} cells; core-seconds: {_listed(time_of(log)['core_seconds'])}"
            details = self._details(found, log)
            rows.append(Row("A new file", name, found.wall, goal=FILE_GOALS[key], note=note, details=details))
        return rows

    def _file(self, name: str) -> str:
        folder = self.folder / f"project-{name.replace(' ', '-')}"
        folder.mkdir(exist_ok=True)
        (folder / "pytest.ini").write_text("[pytest]\n")
        file = folder / "my_net.py"
        file.write_text(NEW_FILE.format(number=repr(1 + random.random())))
        return str(file)

    def _new_cache(self, name: str) -> Path:
        cache = self.folder / name
        cache.mkdir(exist_ok=name != "empty")
        if self.environments is not None and not (cache / "environments").exists():
            (cache / "environments").symlink_to(self.environments)
        return cache

    def _run(self, name: str, cases: Sequence[str], cache: Path, options: Sequence[str] = ()) -> tuple[Measured, Path]:
        log = self.folder / f"{name.replace(' ', '-')}.jsonl"
        command = [sys.executable, "-m", "pytest", "--modelconform", *cases, *self.more, *options]
        command += ["--modelconform-cache", str(cache), "--modelconform-log", str(log)]
        own = Path(cases[0]).parent
        # Cells that fail are no reason not to measure: the log says how many.
        return measure(command, own if own.is_absolute() else REPOSITORY, statuses=(0, 1)), log

    @staticmethod
    def _details(found: Measured, log: Path) -> dict[str, Any]:
        return {"core_seconds_of_all": round(found.core_seconds, 1), **time_of(log)}


def _only(spent: Mapping[str, float], kinds: Sequence[str]) -> dict[str, float]:
    return {kind: seconds for kind, seconds in spent.items() if kind in kinds}


def _listed(spent: Mapping[str, float]) -> str:
    kinds = sorted(spent, key=lambda kind: -spent[kind])
    return ", ".join(f"{kind} {spent[kind]:.0f}" for kind in kinds if spent[kind] >= 0.5) or "none"
