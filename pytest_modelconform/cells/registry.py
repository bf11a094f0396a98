"""All formats and runtimes of a session: the built-in ones and those of other packages, through one door.

A package adds its own with `pytest_modelconform_register(registry)`; the built-in ones are registered by the same hook.
"""

from __future__ import annotations

import difflib
import importlib
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Generic, Protocol, TypeVar

from ..environments.outside import said
from ..formats import base as format_base
from ..formats.base import Format
from ..runtimes import base as runtime_base
from ..runtimes.base import Runtime
from ..terms import devices
from ..terms.case import DEFAULTS, TORCH
from ..terms.cell import COLLECT, EAGER, FAST, FULL, INFERENCE, PRECISIONS, SEQUENCE, TASKS, Cell
from ..terms.devices import exists
from ..terms.exports import base_of, fault_of_name, is_variant

# Steps in 16 bits need loss scaling and master weights, which are not the model's.
_TRAINED_IN = ("float32", "float64")


def tasks_of(dtype: str, precision: str, has: Collection[str]) -> Sequence[str]:
    """What cells of a case in a dtype and a precision may try."""
    in_steps = "sequence" in has and precision == FULL
    trains = "train" in has and dtype in _TRAINED_IN and precision == FULL
    return [task for task in TASKS if task == INFERENCE or (in_steps if task == SEQUENCE else trains)]


def _asks_for(task: str) -> str:
    """What a format and a runtime have to be made for: who runs a model once runs it step by step."""
    return INFERENCE if task == SEQUENCE else task


class UnknownName(ValueError):
    """A name that no format, runtime or device has. The message lists those that exist."""


class NameTaken(ValueError):
    """A name that another format or runtime has already. The message says which."""


class _Described(Protocol):
    """What is in a table."""

    @property
    def MAIN(self) -> bool:  # noqa: N802 (as modules say it)
        """Whether it is among those that run when nobody names any."""


Kind = TypeVar("Kind", bound=_Described)


class _Table(Generic[Kind]):
    """Modules of one kind by name, in the order of registration. They are imported when first asked for.

    kind: as messages say it, "format". describe: makes a module's description. broken: makes what stands for a module
    that is of no use, from its name, its path, the reason, and the module if it could be imported. faults: these
    reasons, by name.
    """

    def __init__(
        self,
        kind: str,
        describe: Callable[[ModuleType], Kind],
        broken: Callable[[str, str, str, ModuleType | None], Kind],
    ) -> None:
        self.kind = kind
        self.describe = describe
        self.broken = broken
        self.faults: dict[str, str] = {}
        self.modules: dict[str, str] = {}
        self._loaded: dict[str, Kind] = {}

    def add(self, name: str, module: str) -> None:
        """Add the module of an import path. Raises NameTaken."""
        # Ids and markers write "-" as "_": two names that differ only there could not be told apart.
        taken = {known.replace("-", "_"): known for known in self.modules}
        # The other words mean something in ids and in `Case(tolerances=…)`.
        if name.replace("-", "_") in taken or name in (EAGER, COLLECT, FAST, "all", *TASKS, *DEFAULTS):
            by = self.modules.get(name) or taken.get(name.replace("-", "_")) or "a word that means something else"
            raise NameTaken(
                f"{module} can't add the {self.kind} {name!r}: the name is taken by {by}; choose another name"
            )
        self.modules[name] = module

    def get(self, name: str) -> Kind:
        """What a name stands for: something unavailable where its module is of no use. Raises UnknownName."""
        if name not in self._loaded:
            _check_known(self.kind, name, self.modules)
            self._loaded[name] = self._load(name, self.modules[name])
        return self._loaded[name]

    def _load(self, name: str, path: str) -> Kind:
        # A module of another package may do anything. It must not cost the others their run.
        module = None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                module = importlib.import_module(path)
            if name != getattr(module, "NAME", name):
                raise TypeError(f"{path} says NAME = {module.NAME!r}, but is registered as {name!r}: use one name")
            return self.describe(module)
        except TypeError as error:
            self.faults[name] = str(error) if module is not None else f"{path} can't be imported: {said(error)}"
        except (Exception, SystemExit) as error:
            what = "can't be imported" if module is None else "can't be used"
            self.faults[name] = f"its module {path} {what}: {said(error)}"
        return self.broken(name, path, self.faults[name], module)

    def select(self, names: Sequence[str]) -> Sequence[str]:
        """Names for an option's value: the main ones for (), all for ("all",). Raises UnknownName."""
        return _select(self.kind, names, tuple(self.modules), (name for name in self.modules if self.get(name).MAIN))


def _select(kind: str, names: Sequence[str], known: Sequence[str], main: Iterable[str]) -> Sequence[str]:
    if not names:
        return tuple(main)
    for name in names:
        if name != "all":
            _check_known(kind, name, known)
    if "all" in names:
        return tuple(known)
    return tuple(name for name in known if name in names)


def _check_known(kind: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise UnknownName(f"unknown {kind} {name!r}.{_hint(name, known)} Known {kind}s: {', '.join(known)}")


def _hint(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f" Did you mean {near[0]!r}?" if near else ""


class Registry:
    """Formats and runtimes by name, in the order of registration. Modules are imported when first asked for."""

    def __init__(self) -> None:
        self._formats = _Table("format", self._described_format, format_base.broken)
        self._runtimes = _Table("runtime", runtime_base.described, self._broken_runtime)
        # What is wrong with what other packages added, as sentences, besides what is wrong with a module.
        self.faults: list[str] = []

    def add_format(self, name: str, module: str) -> None:
        """Add the format in `module` (an import path). Raises NameTaken."""
        self._formats.add(name, module)

    def add_runtime(self, name: str, module: str) -> None:
        """Add the runtime in `module` (an import path). Raises NameTaken."""
        self._runtimes.add(name, module)

    @property
    def formats(self) -> Sequence[str]:
        """Names of all formats."""
        return tuple(self._formats.modules)

    @property
    def runtimes(self) -> Sequence[str]:
        """Names of all runtimes."""
        return tuple(self._runtimes.modules)

    @property
    def broken(self) -> Mapping[str, str]:
        """Why a module that was asked for is of no use, by "runtime NAME" or "format NAME"."""
        return {
            f"{table.kind} {name}": why
            for table in (self._formats, self._runtimes)
            for name, why in table.faults.items()
        }

    def _described_format(self, module: ModuleType) -> Format:
        """Raises TypeError for one that is made from a format that there is not, or from itself."""
        found = format_base.described(module)
        through, source = [found.NAME], found.FROM
        while source:
            if source in through:
                raise TypeError(f"{found.module}: it is made from itself: {' from '.join([*through, source])}")
            if source not in self.formats:
                raise TypeError(f"{found.module}: FROM names the format {source!r}, which does not exist")
            through.append(source)
            try:
                source = getattr(importlib.import_module(self._formats.modules[source]), "FROM", "")
            except (Exception, SystemExit):
                break  # That format's own fault.
        return found

    def _broken_runtime(self, name: str, path: str, reason: str, module: ModuleType | None) -> Runtime:
        return runtime_base.broken(name, reason, self.select_formats(()), module)

    def format(self, name: str) -> Format:
        """The format of a name, which may have a variant's in it. Raises UnknownName."""
        return self._formats.get(base_of(name))

    def runtime(self, name: str) -> Runtime:
        """The runtime of a name. Raises UnknownName."""
        return self._runtimes.get(name)

    def check_known(self, names: Iterable[str]) -> None:
        """See whether each name is a format's or a runtime's. Raises UnknownName."""
        known = [*self.formats, *self.runtimes]
        for name in names:
            if base_of(name) not in known:
                raise UnknownName(
                    f"unknown format or runtime {name!r}.{_hint(name, known)} `modelconform doctor` lists all."
                )

    def holds(self, name: str, framework: str, own: Collection[str] = ()) -> bool:
        """Whether models of a framework can be stored in a format. own: columns that the case makes itself."""
        return name in own or framework in self.format(self.made_through(name, framework)[-1]).FRAMEWORKS

    def made_through(self, name: str, framework: str = TORCH, own: Collection[str] = ()) -> list[str]:
        """A format and those that it is made from for a framework, the first one last. Raises UnknownName.

        own: columns that the case makes itself, from no other format.
        """
        through = [name]
        if name in own:
            return through
        while framework not in self.format(through[-1]).FRAMEWORKS and (source := self.format(through[-1]).FROM):
            if source in through:
                raise UnknownName(f"format {name!r} is made from itself: {' from '.join([*through, source])}")
            through.append(source)
        return through

    @property
    def devices(self) -> Sequence[str]:
        """Names of all devices that cells may have."""
        found = dict.fromkeys(device for name in self.runtimes for device in self.runtime(name).DEVICES)
        return tuple(devices.select(tuple(found)))

    def select_formats(self, names: Sequence[str]) -> Sequence[str]:
        """Formats for an option's value: the main ones for (), all for ("all",). Raises UnknownName.

        A variant that is named stands behind its format, which need not be named; whether a case has it is not known.
        """
        bases = [base_of(name) for name in names]
        found = self._formats.select(bases)
        named = [name for name in dict.fromkeys(names) if is_variant(name)]
        if not named:
            return found
        if fault := next(filter(None, map(fault_of_name, named)), ""):
            raise UnknownName(fault)
        if "all" in names:
            return found
        wanted = ([base] * (base in names) + [name for name in named if base_of(name) == base] for base in found)
        return tuple(name for group in wanted for name in group)

    def select_runtimes(self, names: Sequence[str]) -> Sequence[str]:
        """Runtimes for an option's value: the main ones for (), all for ("all",). Raises UnknownName."""
        return self._runtimes.select(names)

    def select_devices(self, names: Sequence[str]) -> Sequence[str]:
        """Devices for an option's value: the CPU for (); the GPU and back for both. Raises UnknownName."""
        return _select("device", devices.select(names), self.devices, (devices.CPU,))

    def select_precisions(self, names: Sequence[str]) -> Sequence[str]:
        """Precisions for an option's value: full for (), both for ("all",). Raises UnknownName."""
        return _select("precision", names, PRECISIONS, (FULL,))

    def cells(
        self,
        file: str,
        case: str,
        formats: Iterable[str],
        runtimes: Iterable[str],
        devices: Iterable[str],
        dtype: str = "float32",
        precisions: Iterable[str] = (FULL,),
        has: Collection[str] = (),
        framework: str = TORCH,
        own: Collection[str] = (),
    ) -> list[Cell]:
        """The cells of a case in a dtype: every runtime that loads a format, on every device, as it may compute.

        has: which of the fields that some formats and tasks need the case gives, of `OPTIONAL`. own: columns that it
        makes itself, whatever it is written in.
        """
        runtimes, devices, precisions = tuple(runtimes), tuple(devices), tuple(precisions)
        return [
            Cell(file, case, format_name, runtime_name, device, dtype, precision, task)
            for format_name in formats
            if set(self.format(format_name).NEEDS) <= set(has) and self.holds(format_name, framework, own)
            for runtime_name in runtimes
            if base_of(format_name) in self.runtime(runtime_name).FORMATS
            for device in devices
            if exists(device, self.runtime(runtime_name).DEVICES, self.format(format_name).DEVICE_BOUND)
            for precision in precisions
            if precision in self.runtime(runtime_name).PRECISIONS
            for task in tasks_of(dtype, precision, has)
            if _asks_for(task) in self.format(format_name).TASKS and _asks_for(task) in self.runtime(runtime_name).TASKS
            if _asks_for(task) == INFERENCE or not is_variant(format_name)
        ]


def register_built_in(registry: Registry) -> None:
    """What the built-in implementation of the hook does."""
    from ..formats.built_in import BUILT_IN as FORMATS
    from ..runtimes.built_in import BUILT_IN as RUNTIMES

    for name, module in FORMATS.items():
        registry.add_format(name, module)
    for name, module in RUNTIMES.items():
        registry.add_runtime(name, module)
