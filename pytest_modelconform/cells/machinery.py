"""What the cells of a session are made and run with, in one object. Knows nothing of pytest."""

from __future__ import annotations

import functools
import re
import sys
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from .. import environments
from ..advice.table import advised
from ..cache import disk, sessions, spare, temporary
from ..cache.fingerprint import fingerprint, hash_file, hash_of
from ..cache.keeper import KEEPER
from ..cache.reservations import Reservations
from ..cache.store import Cache
from ..environments.outside import ModuleFault
from ..environments.packages import unreadable_requirement
from ..formats.frameworks import FRAMEWORKS, Framework
from ..references.content import Packages
from ..terms import exhausted, gpus, tolerances
from ..terms.case import DEFAULTS, EVERYTHING, TORCH
from ..terms.cell import COLLECT, EAGER, FAST, FULL, INFERENCE, PRECISIONS, SEQUENCE, TASKS, TRAINING, Cell
from ..terms.exports import AT, base_of, is_variant
from ..terms.outcome import NOT_TESTED, Outcome, Stage, Verdict
from ..terms.wording import fault_of_ours, fitting
from ..workers import lookups
from ..workers.loop import WorkerError
from . import complete, typed, variants
from .case_files import Declaration, Declared, misnamed, repeated, static_cases
from .case_host import Exports
from .pipeline import Pipeline
from .pool import AnyWorker, Pool, threads
from .registry import Registry
from .room import Room
from .selection import Selection, select
from .settings import Settings
from .witnesses import Witnesses
from .worker import WorkerCrashed, WorkerProblem, WorkerRefused, WorkerTimeout

_ITEM_ID = re.compile(r"(?P<file>.+)::(?P<case>[^:\[\]]+)\[(?P<rest>[^\[\]]+)\]")


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What the cache keeps of a case file: its cases, those with a faulty field among them."""

    cases: list[Declared]


class CollectAnswer(Collected, frozen=True, kw_only=True):
    """The case host's answer to `collect`.

    files: hashes of all files that the case file depends on, by path. packages: a record of workers/lookups.py.
    """

    files: Mapping[str, str]
    packages: Packages = {}


@dataclass(frozen=True)
class Place:
    """Where a session stands.

    root: the folder that paths of case files are relative to. path: what case hosts add to sys.path. progress: shows a
    line about work that takes long and happens once. share: how many processes of the session are on this machine;
    process: which of them this is, from 0. session: what these have in common, or "" where no results are gathered.
    """

    root: Path
    path: Sequence[str]
    progress: Callable[[str], None]
    share: int = 1
    process: int = 0
    session: str = ""


class Machinery:
    """Registry, cache, workers and pipeline of a session. What takes long to make is made when first needed.

    cache: where references and artifacts are kept; by default `settings.cache`, where harnesses and environments always
    are. inline_host: whether the case host is this process. Raises CacheRefused for a cache that can't be used.
    """

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        place: Place,
        cache: Cache | None = None,
        inline_host: bool = False,
    ) -> None:
        self.registry = registry
        self.settings = settings
        self.place = place
        self.cache = cache or Cache(settings.cache)
        sessions.enter(self.cache.folder)
        # What there was to say of a full cache, by this process.
        self.full: list[str] = []
        for folder in {self.cache.folder, settings.cache}:
            spare.listen(folder, self._move, self._overflowed)
        self._inline_host = inline_host
        self._declared: dict[Path, Declaration] = {}
        self._imported: dict[Path, Declaration] = {}

    # -- what was asked for; an UnknownName is raised where a name is none -------------------------------------------

    @functools.cached_property
    def selection(self) -> Selection:
        """What was asked for, with what that brings, or the main formats and runtimes."""
        return select(self.registry, self.settings)

    @property
    def formats(self) -> Sequence[str]:
        """Names of the formats that were asked for, or the main ones."""
        return self.selection.formats

    @property
    def runtimes(self) -> Sequence[str]:
        """Names of the runtimes that were asked for, or the main ones."""
        return self.selection.runtimes

    @property
    def devices(self) -> Sequence[str]:
        """Names of the devices that were asked for, or the CPU."""
        return self.selection.devices

    @property
    def precisions(self) -> Sequence[str]:
        """The precisions that were asked for, or full."""
        return self.selection.precisions

    def is_required(self, cell: Cell) -> bool:
        """Whether --modelconform-require names a cell's format or runtime."""
        return bool({cell.format, base_of(cell.format), cell.runtime} & set(self.settings.require))

    # -- what runs cells -------------------------------------------------------------------------------------------

    @functools.cached_property
    def pool(self) -> Pool:
        """The workers of this process."""
        return Pool(
            self.registry,
            self.settings.cache,
            self.place.path,
            threads=threads(self.place.share),
            share=self.place.share,
            inline=self.settings.inline,
            progress=self.place.progress,
            process=self.place.process,
            inline_host=self._inline_host,
            variables=temporary.for_others(self.scratch),
            reservations=self.reservations,
        )

    @functools.cached_property
    def reservations(self) -> Reservations:
        """What memory this process has reserved, among all of this machine's."""
        return Reservations.of_cache(self.settings.cache, self.settings.memory, self.settings.memory_off)

    @functools.cached_property
    def room(self) -> Room:
        """Where cells run, one after another."""
        return Room(
            self.reservations,
            lambda: self.__dict__.get("pool"),
            lambda: self.pipeline.exports.forget(),
            self.place.progress,
        )

    @functools.cached_property
    def pipeline(self) -> Pipeline:
        """What runs cells."""
        return Pipeline(
            self.registry,
            self.cache,
            self.pool,
            self.settings.timeout,
            self.settings.threads,
            self.settings.threads_asked,
            self.settings.strict,
            self.witnesses,
            self.settings.exports,
            self.scratch,
        )

    @property
    def exports(self) -> Exports:
        """What prepares and exports cases."""
        return self.pipeline.exports

    @functools.cached_property
    def witnesses(self) -> Witnesses | None:
        """What mismatches of this session leave for each other; None where nobody gathers it."""
        return Witnesses(self.registry, self.scratch / "witnesses") if self.place.session else None

    @functools.cached_property
    def scratch(self) -> Path:
        """The session's temporary folder, which goes with the last of its processes."""
        try:
            folder = temporary.enter(temporary.folder_of(self.place.session or uuid.uuid4().hex))
        except OSError:  # who writes to it says why
            return Path(tempfile.gettempdir())
        KEEPER.folder = str(folder)
        return folder

    def close(self, at_once: bool = False) -> None:
        """End the workers and remove the working folder, as far as there are any.

        at_once: whether one that is in the middle of something is not asked first, which takes seconds.
        """
        if "pool" in self.__dict__:
            (self.pool.kill if at_once else self.pool.close)()
        if "pipeline" in self.__dict__:
            self.pipeline.close()
        if "reservations" in self.__dict__:
            self.reservations.close()
        for folder in {self.cache.folder, self.settings.cache}:
            spare.remove(folder)

    def leave(self) -> None:
        """Have nothing more to do with the session's temporary folder: the last process that does removes it."""
        if "scratch" in self.__dict__:
            temporary.leave(self.scratch)

    def _overflowed(self, said: str) -> None:
        """Say that the cache is full."""
        self.full.append(said)
        self.place.progress(said)

    def _move(self) -> None:
        """End what was told to write to the cache that is full."""
        if "pool" in self.__dict__:
            self.pool.end_makers()

    def outcome_of_exception(self, error: Exception) -> Outcome:
        """For an exception in this process: with --modelconform-inline a handler's, else a fault of ours or a plugin's.

        Such a fault must not pass for the load or the run that `expected.toml` knows to fail.
        """
        if isinstance(error, ModuleFault):
            return Outcome(Verdict.ERROR, Stage.ENVIRONMENT, str(error))
        if why := disk.said(error) if isinstance(error, OSError) else None:
            said = f"{NOT_TESTED}a file could not be written ({why}): {error}"
            return Outcome(Verdict.ERROR, Stage.ENVIRONMENT, said)
        if not self.settings.inline:
            said = f"the cell was not tested, since pytest-modelconform failed: {fault_of_ours(error)}"
            return Outcome(Verdict.ERROR, Stage.ENVIRONMENT, said)
        stages = {"collect": Stage.COLLECT, "reference": Stage.REFERENCE, "export": Stage.EXPORT, "load": Stage.LOAD}
        stage = stages.get(self.pool.last_op, Stage.RUN)
        said = f"{type(error).__name__}: {error}"
        is_full = gpus.are_here() and exhausted.on_gpu(said)
        return advised(Outcome(Verdict.OUT_OF_MEMORY if is_full else Verdict.ERROR, stage, said))

    # -- which cells there are -------------------------------------------------------------------------------------

    def cells(self, file: str, case: Declared) -> list[Cell]:
        """The cells of a case that were asked for, dtype by dtype, each with its model checks first."""
        found = []
        for dtype in case.dtypes:
            formats = _columns(self.settings, self.formats, case)
            asked = (formats, self.runtimes, self.devices, dtype, self.precisions, case.has, case.framework)
            cells = self.registry.cells(file, case.name, *asked, own=case.own_columns)
            found += _with_checks(file, case.name, dtype, cells)
        return found

    def any_cells(self) -> bool:
        """Whether what was asked for is any cell at all, of a case that has everything."""
        named = dict.fromkeys(filter(is_variant, self.formats), "")
        every = (Declared("", has=EVERYTHING, framework=name, exports=named) for name in FRAMEWORKS)
        return any(len(self.cells("", declared)) > 1 for declared in every)

    def all_cells(self, file: str, case: Declared) -> list[Cell]:
        """The cells of a case that can exist, whatever was asked for."""
        registry = self.registry
        found = [Cell(file, case.name, COLLECT, COLLECT)]
        for dtype in case.dtypes:
            formats = _columns(self.settings, registry.formats, case)
            every = (formats, registry.runtimes, registry.devices, dtype, PRECISIONS, case.has, case.framework)
            found += _with_checks(file, case.name, dtype, registry.cells(file, case.name, *every, own=case.own_columns))
        return found

    @functools.cached_property
    def _spelled(self) -> Sequence[Mapping[str, str]]:
        """Formats, runtimes and devices by their names as ids write them."""
        registry = self.registry
        every = (registry.formats, registry.runtimes, registry.devices)
        return [{name.replace("-", "_"): name for name in names} for names in every]

    def cell_of(self, node_id: str) -> Cell | None:
        """The cell that a node id names, or None."""
        match = _ITEM_ID.fullmatch(node_id)
        if match is None:
            return None
        first, *words = match["rest"].split("-")
        if first in (EAGER, COLLECT):
            format_name, runtime, device = first, first, "cpu"
        else:
            formats, runtimes, devices = self._spelled
            base, at, variant = first.partition(AT)
            if base not in formats or len(words) < 2 or words[0] not in runtimes:
                return None
            format_name, runtime, device = (
                formats[base] + at + variant,
                runtimes[words[0]],
                devices.get(words[1], words[1]),
            )
        dtype = next((word for word in words if word in DEFAULTS), "float32")
        precision = FAST if FAST in words else FULL
        task = next((word for word in words if word in TASKS), INFERENCE)
        # Thousands of cells are of the same few files and cases.
        file, case = sys.intern(match["file"]), sys.intern(match["case"])
        cell = Cell(file, case, format_name, runtime, device, dtype, precision, task)
        # No other spelling: every cell has one id.
        return cell if cell.id == node_id else None

    # -- case files ------------------------------------------------------------------------------------------------

    def declare(self, path: Path) -> Declaration:
        """The cases of a file, from the cache or by importing it in the case host."""
        if path not in self._declared:
            try:
                self._declared[path] = self._declaration(path)
            except Exception as error:  # One file costs no other its cells.
                said = f"{path.name} could not be read: {fault_of_ours(error)}"
                self._declared[path] = Declaration(problem=Outcome(Verdict.ERROR, Stage.COLLECT, said))
        return self._declared[path]

    def _declaration(self, path: Path) -> Declaration:
        if fault := misnamed(path) or repeated(path):
            return Declaration(problem=Outcome(Verdict.ERROR, Stage.COLLECT, fault))
        static = static_cases(path)
        # One that can't be imported here is shown as unavailable all the same.
        if any(case.missing() for case in static):
            return Declaration(static)
        if (environment := complete.environment_of(static)) is not None:
            if (why := complete.unclear(path, self.place.path)) is None:
                return Declaration([self._declared_case(case) for case in static], by_syntax=True)
            if not environments.is_complete(environments.path_of(environment, self.settings.cache)):
                self.place.progress(f"{path.name}: collecting it needs the environment {environment.name}, since {why}")
        return self._import(path, static)

    def fault_of(self, path: Path, case: str) -> Outcome | None:
        """What collecting a case would have come to where its file was collected by its syntax; None for no fault.

        Imports the file in its case host. Raises BuildError where that can't be made.
        """
        declaration = self.declare(path)
        if not declaration.by_syntax:
            return None
        if path not in self._imported:
            self._imported[path] = self._import(path, declaration.cases)
        imported = self._imported[path]
        if imported.problem is not None:
            return imported.problem
        if how := complete.differs(declaration.cases, imported.cases):
            said = f"{path.name}: importing it gives {how}: assign each Case once, at top level"
            return Outcome(Verdict.ERROR, Stage.COLLECT, fitting(said))
        fault = next(found.fault for found in imported.cases if found.name == case)
        return Outcome(Verdict.ERROR, Stage.COLLECT, fault) if fault else None

    def relative(self, path: Path) -> str:
        """A case file's path as its cells name it: relative to the root, or its name where it is elsewhere."""
        root = self.place.root
        return path.relative_to(root).as_posix() if root in path.parents else path.name

    def _import(self, path: Path, static: Sequence[Declared]) -> Declaration:
        relative = self.relative(path)
        key = hash_of("collect", fingerprint(), self.pool.path, str(path), relative, hash_file(path))
        try:
            content = self._known(key) or self.cache.attempt(lambda place: self._collect(path, static, key, place))
        except disk.DiskFull as full:
            return Declaration(problem=Outcome(Verdict.ERROR, Stage.ENVIRONMENT, str(full)))
        except WorkerError as error:
            return Declaration(problem=Outcome(Verdict.ERROR, Stage.COLLECT, fitting(f"{path.name}: {error}")))
        except WorkerProblem as problem:
            verdicts = {WorkerCrashed: Verdict.CRASH, WorkerTimeout: Verdict.TIMEOUT}
            verdict = verdicts.get(type(problem), Verdict.ERROR)
            details = problem.details if isinstance(problem, WorkerRefused) else ""
            message = f"{path.name}: {problem}" + (f"\n{details}" if details else "")
            return Declaration(problem=Outcome(verdict, Stage.COLLECT, fitting(message)))
        return Declaration([self._declared_case(case) for case in content.cases])

    def _known(self, key: str) -> Collected | None:
        return typed.cached(self.cache.read_case(key, lookups.unchanged), Collected)

    def _collect(self, path: Path, static: Sequence[Declared], key: str, place: Path) -> Collected:
        """Have a case host import a file, unless another process has done so. place: the folder that is written to."""
        with disk.watched(place), self.cache.lock(f"case-{key}", place):
            if (content := self._known(key)) is not None:
                return content
            # Where the first case that isn't PyTorch's lives: what it imports is only there.
            others = (FRAMEWORKS[c.framework] for c in static if c.framework in FRAMEWORKS)
            framework = next((f for f in others if f.name != TORCH), FRAMEWORKS[TORCH])
            try:
                worker, found = self._asked_to_collect(path, framework)
            except WorkerCrashed:
                # A host that somebody has killed, such as the kernel for memory, says nothing of the file; and xdist
                # runs nothing where one of its processes has collected something else.
                worker, found = self._asked_to_collect(path, framework)
            answer = typed.answer(worker, "collect", found, CollectAnswer)
            content = Collected(cases=answer.cases)
            self.cache.write_case(key, typed.json_of(content), answer.files, answer.packages, place=place)
            return content

    def _asked_to_collect(self, path: Path, framework: Framework) -> tuple[AnyWorker, dict[str, Any]]:
        """A case host, and what it answers. Raises a WorkerProblem or BuildError."""
        worker = self.pool.host_for(framework)
        relative = self.relative(path)
        return worker, worker.ask("collect", self.settings.timeout, file=str(path), relative=relative)

    def _declared_case(self, case: Declared) -> Declared:
        # Here, since the case host does not know the runtimes that other packages have registered.
        fault = case.fault or tolerances.fault(
            case.name, case.tolerances, self.registry.runtimes, {*case.exports, *self.settings.exports}
        )
        fault = fault or variants.fault(case.name, case.framework, case.exports, self.settings.exports, self.registry)
        if not fault and (unreadable := unreadable_requirement(case.requires)):
            fault = f"case {case.name!r}, field 'requires': {unreadable}"
        return replace(case, fault=fitting(fault) if fault else None)


def _columns(settings: Settings, formats: Sequence[str], case: Declared) -> Sequence[str]:
    """The columns of a case: what it says itself, and for one in PyTorch what the command line gives for all."""
    return variants.columns(formats, case.exports, settings.exports if case.framework == TORCH else ())


def _with_checks(file: str, case: str, dtype: str, cells: Sequence[Cell]) -> list[Cell]:
    """Cells of a case in a dtype behind the model checks that they rest on."""
    needed = {cell.reference_task for cell in cells}
    tasks = [task for task in (INFERENCE, SEQUENCE, TRAINING) if task == INFERENCE or task in needed]
    return [*(Cell(file, case, EAGER, EAGER, dtype=dtype, task=task) for task in tasks), *cells]
