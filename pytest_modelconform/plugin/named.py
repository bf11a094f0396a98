"""What was named has to have a cell: judged once all case files are collected, before anything is deselected.

In xdist each worker judges what it collected, for the controller collects nothing; the controller then ends the run.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from ..cells import selection
from ..cells.case_files import is_case_file
from ..expected import file as expected_file
from .options import TYPED
from .run import Run

SCOPE = "modelconform_scope"
_REFUSED = "modelconform_refused"


class Scope(enum.Enum):
    """What a run is asked to collect."""

    PROJECT = "project"
    PATHS = "paths"
    NODES = "nodes"


def scope_of(config: pytest.Config) -> Scope:
    """What a session collects: all of the project, some files or folders, or items by their node ids."""
    if hasattr(config, "workerinput"):
        return Scope(config.workerinput[SCOPE])
    sources = type(config.args_source)
    if config.args_source is not sources.ARGS:
        whole = config.args_source is sources.TESTPATHS or config.invocation_params.dir == config.rootpath
        return Scope.PROJECT if whole else Scope.PATHS
    return Scope.NODES if all("::" in argument for argument in config.args) else Scope.PATHS


class NamedPlugin:
    """Ends a run in which a name that was given has no cell, with a usage error."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._said = ""

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell an xdist worker what it can't know: its command line is not the one that was typed."""
        node.workerinput[TYPED] = list(self.run.settings.typed)
        node.workerinput[SCOPE] = scope_of(self.run.config).value

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Before -k, -m, --deselect and shards have their say: what is not selected is there all the same."""
        faults = self._faults(config)
        if not faults:
            return
        self._said = selection.message(faults)
        # Nothing of it is to run, nor to be shown as not run.
        items.clear()
        if not self.run.is_xdist_worker:
            self._refuse(self._said)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """In an xdist worker, hand on what is at fault."""
        if self.run.is_xdist_worker and self._said:
            session.config.workeroutput[_REFUSED] = self._said  # type: ignore[attr-defined]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """On an xdist controller, end the run."""
        if said := getattr(node, "workeroutput", {}).get(_REFUSED):
            self._refuse(said)

    def _refuse(self, said: str) -> None:
        self.run.is_refused = True
        raise pytest.UsageError(said)

    def _faults(self, config: pytest.Config) -> list[tuple[selection.Asked, str]]:
        run = self.run
        scope = scope_of(config)
        # Node ids say what is wanted, and pytest that it is not there. --lf does not even collect what has passed. And
        # a file that can't be collected fails by itself; what would be in it nobody knows.
        if scope is Scope.NODES or config.getoption("lf", False) or run.collected.is_faulty:
            return []
        machinery = run.machinery
        names = [name for name in run.asked if not name.has(run.collected.cells)]
        if scope is not Scope.PROJECT and any(not name.typed for name in names) and self._leaves_out_some(config):
            # The ini file speaks of the project, of which this run is a part.
            names = [name for name in names if name.typed]
        if not run.collected.cases:
            names = [name for name in names if name.typed]
        cases = run.collected.cases
        return [(name, selection.unmet(machinery.registry, machinery.selection, name, cases)) for name in names]

    def _leaves_out_some(self, config: pytest.Config) -> bool:
        files = self.run.collected.files
        return any(path not in files and is_case_file(path) for path in python_files(config, config.rootpath))


def speaks_for_cases(config: pytest.Config, path: Path) -> bool:
    """Whether an expected.toml is ours: others use the name for what their own tests expect.

    It has one of our tables, or is in a folder with case files below, so that a slip in it is told.
    """
    return expected_file.has_tables(path) or any(map(is_case_file, python_files(config, path.parent)))


def files_below(run: Run, folder: Path) -> set[Path]:
    """Python files below a folder that pytest would look at, and those that it was told to."""
    collected = {path for path in run.collected.files if folder in path.parents}
    return {*python_files(run.config, folder), *collected}


def python_files(config: pytest.Config, root: Path) -> Iterator[Path]:
    """Python files below a folder that pytest would look at."""
    return files_of(config, root, "*.py")


def files_of(config: pytest.Config, root: Path, names: str) -> Iterator[Path]:
    """Files below a folder whose names match a pattern, in folders that pytest would look into."""
    patterns = [*config.getini("norecursedirs"), "__pycache__", "node_modules"]
    for folder, folders, files in os.walk(root):
        # No environments: what is installed there is none of the project's.
        folders[:] = [
            name
            for name in folders
            if not any(fnmatch(name, pattern) for pattern in patterns) and not Path(folder, name, "pyvenv.cfg").exists()
        ]
        yield from (Path(folder, name) for name in files if fnmatch(name, names))
