"""A run of pytest that is ours: the machinery of its cells, and what `expected.toml` says of them."""

from __future__ import annotations

import os
import re
import shlex
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from ..cache.store import CacheRefused
from ..cells import selection, variants
from ..cells.case_files import Declared
from ..cells.machinery import Machinery, Place
from ..expected import file as expected_file
from ..report import recordings, rerun
from ..terms.cell import Cell
from ..terms.outcome import Outcome
from . import options, progress
from .accounting import Accounting
from .durations import Durations
from .registering import registry_of
from .resuming import Resumed

# What an xdist worker is told the session's name by.
SESSION = "modelconform_session"


@dataclass
class Collected:
    """What case files came to, before anything is deselected.

    is_faulty: whether a file or a case can't be collected, so that there may be more than is here.
    """

    files: set[Path] = field(default_factory=set)
    cases: list[Declared] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    is_faulty: bool = False


class Run:
    """What the hooks of a run ask: one an xdist worker, and one of the controller, which only schedules and reports.

    Raises pytest.UsageError for settings that make no sense.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.accounting = Accounting(config)
        self.settings = options.settings(config)
        registry = registry_of(config)
        try:
            self.machinery = Machinery(registry, self.settings, place_of(config))
            registry.check_known(self.settings.require)
            faults = (variants.fault_of_given(name, registry) for name in self.settings.exports)
            if fault := next(filter(None, faults), ""):
                raise ValueError(f"--modelconform-export: {fault}")
            self.asked = selection.asked(self.settings)
            lacking = selection.lacking(registry, self.machinery.selection, self.asked)
            any_cells = self.machinery.any_cells()
        except (ValueError, CacheRefused) as error:
            raise pytest.UsageError(f"modelconform: {error}") from error
        if lacking:
            raise pytest.UsageError(selection.message(lacking))
        if not any_cells:
            chosen = self.machinery
            raise pytest.UsageError(
                f"modelconform: none of the runtimes {', '.join(chosen.runtimes)} loads any of the formats "
                f"{', '.join(chosen.formats)} on {', '.join(chosen.devices)} in {', '.join(chosen.precisions)} "
                "precision: name other ones."
            )
        # What case files came to, whatever of it is selected. is_refused: whether a name has no cell there.
        self.collected = Collected()
        self.is_refused = False
        # Whether guilty operators are looked for, once all cells have run: that may take minutes, and may be stopped.
        self.is_searching = False
        # All cells of a sharded run, each with the index of its shard.
        self.sharded: dict[Cell, int] = {}
        # What cells took elsewhere, where the options name it, and on this machine.
        try:
            named = self.settings.durations
            self.recordings = recordings.read(named) if named is not None else None
        except recordings.RecordingError as error:
            raise pytest.UsageError(f"--modelconform-durations: {error}") from error
        known = self.recordings.known if self.recordings is not None else {}
        self.durations = Durations(self.settings.cache, config.rootpath, known)
        # Where nodes of a cluster run the cells: what the log says of each node. None for a run on one machine.
        self.cluster: Callable[[], list[dict[str, Any]]] | None = None
        self._expectations: dict[Path, expected_file.Expectations | expected_file.ExpectedError] = {}
        self._markers: dict[str, pytest.MarkDecorator] = {}

    @property
    def is_xdist_worker(self) -> bool:
        """Whether this process runs items for another one."""
        return hasattr(self.config, "workerinput")

    @cached_property
    def resumed(self) -> Resumed | None:
        """The cells that need not run again, where there is a log of them. Raises pytest.UsageError.

        xdist's processes read it when they need it.
        """
        settings = self.settings
        return Resumed.of(settings.resume, settings.log) if settings.resume is not None else None

    @property
    def is_controller(self) -> bool:
        """Whether other processes run the cells: xdist says so after our hooks have been registered."""
        return self.cluster is not None or bool(self.config.pluginmanager.has_plugin("dsession"))

    def marker(self, name: str) -> pytest.MarkDecorator:
        """The marker of a name, which `--strict-markers` then knows. One object for all cells that have it."""
        if name not in self._markers:
            self.config.addinivalue_line("markers", f"{name}: cells of pytest-modelconform")
            self._markers[name] = getattr(pytest.mark, name)
        return self._markers[name]

    # -- expected.toml ---------------------------------------------------------------------------------------------

    def expectation(self, case_file: Path, item_name: str) -> tuple[expected_file.Entry | None, Path | None]:
        """The entry for a cell, and the file that it is in."""
        source = expected_file.find_file(case_file, self.config.rootpath)
        if source is None:
            return None, None
        found = self.expectations(source)
        # A faulty file has an item of its own that fails; no cell is excused by it.
        if isinstance(found, expected_file.ExpectedError):
            return None, source
        return found.find(found.relative(case_file, item_name)), source

    def expectations(self, path: Path) -> expected_file.Expectations | expected_file.ExpectedError:
        """An expected.toml, read once."""
        if path not in self._expectations:
            try:
                self._expectations[path] = expected_file.load(path)
            except expected_file.ExpectedError as error:
                self._expectations[path] = error
        return self._expectations[path]

    def judge(self, outcome: Outcome, path: Path, item_name: str, cell: Cell) -> Outcome:
        """The outcome as expected.toml has it, or will have it once this session has updated it."""
        entry, source = self.expectation(path, item_name)
        if self.settings.update_expected:
            return expected_file.settle(outcome, entry, source)
        found = self.expectations(source) if source is not None else None
        if outcome.failed and isinstance(found, expected_file.ExpectedError):
            # Its own item says so, too, where that is collected.
            return replace(outcome, notes=(*outcome.notes, f"no entry holds, since this can't be read: {found}"))
        return expected_file.judge(outcome, entry, source, self.update_command(path, item_name, cell))

    # -- commands to be copied into a shell, in the folder that this run began in ----------------------------------

    def update_command(self, path: Path, item_name: str, cell: Cell | None = None) -> str:
        """What updates expected.toml for one item."""
        words = ["pytest", "--modelconform", "--modelconform-update-expected"]
        words += (
            [*rerun.options(cell, self._given), *rerun.export_option(cell, self.typed_exports)]
            if cell is not None
            else []
        )
        file = Path(os.path.relpath(path, self.config.invocation_params.dir)).as_posix()
        return shlex.join([*words, f"{file}::{item_name}"])

    def rerun_command(self, cell: Cell) -> str:
        """What runs a cell again: without the options of this run some cells are not there."""
        strict = ["--modelconform-strict"] if self.config.getoption("--modelconform-strict") else []
        words = [*strict, *rerun.export_option(cell, self.typed_exports)]
        return rerun.command(cell, self._given, self.config.rootpath, self.config.invocation_params.dir, words)

    @property
    def typed_exports(self) -> dict[str, str]:
        """What the command line gives exporters, as it is written there, by column; not what an ini file does."""
        is_typed = bool(self.config.getoption("--modelconform-export"))
        return {name: given.said for name, given in self.settings.exports.items() if is_typed}

    @property
    def _given(self) -> list[str]:
        """Which lists the command line names."""
        return [name for name in rerun.LISTS if self.config.getoption(f"--modelconform-{name}") is not None]


RUN = pytest.StashKey[Run]()


def run_of(config: pytest.Config) -> Run:
    """That of a session of pytest's with `--modelconform`."""
    return config.stash[RUN]


def place_of(config: pytest.Config) -> Place:
    """Where a pytest process stands, one of several or not."""
    return Place(
        config.rootpath,
        [str(config.rootpath), *map(str, config.getini("pythonpath"))],
        lambda text: progress.show(config, text),
        share=int(getattr(config, "workerinput", {}).get("workercount", 1)),
        session=getattr(config, "workerinput", {}).get(SESSION, "") or uuid.uuid4().hex,
        process=int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0),
    )
