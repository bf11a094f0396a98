"""What cells can't run without and what may have to be built or installed first: C++ harnesses, environments."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from .. import environments
from ..building import case_library, harness
from ..cache.made_once import BuildError, Progress
from ..environments import Environment
from ..formats import base as format_base
from ..formats.frameworks import FRAMEWORKS
from ..terms import devices
from ..terms.cell import Cell
from .case_files import Declared
from .registry import Registry

# The engine that loads what is compiled from a case's own C++ source.
_FRONTEND = "frontend"


class Need(Protocol):
    """Something that is made once. It can be sent to another process."""

    @property
    def name(self) -> str:
        """In words, as in "the ort harness"."""

    @property
    def how(self) -> str:
        """What happens to it: "built", which takes processors, or "installed", which mostly waits for a network."""

    def is_there(self, cache: Path) -> bool:
        """Whether nothing is to be done. Takes milliseconds. Raises BuildError where nothing can be done."""

    def make(self, cache: Path, progress: Progress) -> None:
        """Make it, or wait for another process that does. Raises BuildError."""


@dataclass(frozen=True)
class Harness:
    """The C++ harness of an engine."""

    engine: str
    how = "built"

    @property
    def name(self) -> str:
        """In words."""
        return f"the {self.engine} harness"

    def is_there(self, cache: Path) -> bool:
        """By the folder that it would be in."""
        return harness.is_built(self.engine, cache)

    def make(self, cache: Path, progress: Progress) -> None:
        """Build it."""
        harness.executable(self.engine, cache, progress)


@dataclass(frozen=True)
class Header:
    """The precompiled header that C++ sources of cases include."""

    name = "torch/torch.h for the C++ sources of cases"
    how = "built"

    def is_there(self, cache: Path) -> bool:
        """By the folder that it would be in."""
        return case_library.has_header(cache)

    def make(self, cache: Path, progress: Progress) -> None:
        """Precompile it."""
        case_library.precompile_header(cache, progress)


@dataclass(frozen=True)
class Installed:
    """An isolated environment."""

    environment: Environment
    how = "installed"

    @property
    def name(self) -> str:
        """In words."""
        return f"the environment {self.environment.name}"

    def is_there(self, cache: Path) -> bool:
        """By the mark that it is complete."""
        return environments.is_complete(environments.path_of(self.environment, cache))

    def make(self, cache: Path, progress: Progress) -> None:
        """Install it."""
        environments.install(self.environment, cache, progress)


@dataclass(frozen=True)
class Lacking:
    """What cells of a session wait for. needs: what has to be made, each once; by_cell: their names, by node id."""

    needs: Sequence[Need] = ()
    by_cell: Mapping[str, Collection[str]] = field(default_factory=dict)


def lacking(registry: Registry, cache: Path, cells: Iterable[tuple[Cell, Declared]]) -> Lacking:
    """What isn't there of what these cells, each with its case, need. Builds and installs nothing."""
    # By what decides: there may be thousands of cells.
    known: dict[tuple[str, str, str, str, bool], list[Need]] = {}
    is_lacking: dict[Need, bool] = {}
    by_cell = {}
    for cell, case in cells:
        alike = (cell.format, cell.runtime, cell.device, case.framework, cell.format in case.own_columns)
        if alike not in known:
            known[alike] = list(_needs(registry, cell, case))
            is_lacking |= {need: _is_lacking(need, cache) for need in known[alike] if need not in is_lacking}
        if names := {need.name for need in known[alike] if is_lacking[need]}:
            by_cell[cell.id] = names
    # The slowest first.
    return Lacking(sorted((need for need in is_lacking if is_lacking[need]), key=_place), by_cell)


def _needs(registry: Registry, cell: Cell, case: Declared) -> Iterator[Need]:
    """What a cell needs, whether it is there or not; nothing if it is unavailable anyway."""
    framework = FRAMEWORKS.get(case.framework)
    if framework is not None and framework.environment is not None:
        yield Installed(framework.environment)
    if cell.is_check:
        return
    runtime = registry.runtime(cell.runtime)
    formats = [registry.format(name) for name in registry.made_through(cell.format, case.framework, case.own_columns)]
    runs_on = devices.route(cell.device).runs_on
    if any(format_base.unavailable(one) for one in formats) or runtime.unavailable(runs_on):
        return
    if runtime.ENGINE:
        yield Harness(runtime.ENGINE)
    if runtime.ENGINE == _FRONTEND:
        yield Header()
    found = [runtime.ENVIRONMENT, *(one.ENVIRONMENT for one in formats)]
    yield from (Installed(environment) for environment in found if environment is not None)


def _place(need: Need) -> int:
    engines = list(harness.ENGINES)
    return engines.index(need.engine) if isinstance(need, Harness) else len(engines)


def _is_lacking(need: Need, cache: Path) -> bool:
    try:
        return not need.is_there(cache)
    except (BuildError, OSError):  # Its cells say so.
        return False
