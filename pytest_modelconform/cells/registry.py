"""All formats and runtimes of a session: the built-in ones and those of other packages, through one door.

A package adds its own with `pytest_modelconform_register(registry)`; the built-in ones are registered by the same hook.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from ..formats import base as format_base
from ..formats.base import Format
from ..runtimes import base as runtime_base
from ..runtimes.base import Runtime
from ..terms import devices
from ..terms.case import DEFAULTS, TORCH
from ..terms.cell import COLLECT, EAGER, FAST, FULL, INFERENCE, PRECISIONS, TASKS, Cell
from ..terms.devices import exists

# Steps in 16 bits need loss scaling and master weights, which are not the model's.
_TRAINED_IN = ("float32", "float64")


def tasks_of(dtype: str, precision: str, has: Collection[str]) -> Sequence[str]:
    """What cells of a case in a dtype and a precision may try."""
    return TASKS if "train" in has and dtype in _TRAINED_IN and precision == FULL else (INFERENCE,)


class UnknownName(ValueError):
    """A name that no format, runtime or device has. The message lists those that exist."""


class Registry:
    """Formats and runtimes by name, in the order of registration. Modules are imported when first asked for."""

    def __init__(self) -> None:
        self._formats: dict[str, str] = {}
        self._runtimes: dict[str, str] = {}
        self._loaded_formats: dict[str, Format] = {}
        self._loaded_runtimes: dict[str, Runtime] = {}

    def add_format(self, name: str, module: str) -> None:
        """Add the format in `module` (an import path). Raises ValueError if the name is taken."""
        self._add(self._formats, "format", name, module)

    def add_runtime(self, name: str, module: str) -> None:
        """Add the runtime in `module` (an import path). Raises ValueError if the name is taken."""
        self._add(self._runtimes, "runtime", name, module)

    @staticmethod
    def _add(table: dict[str, str], kind: str, name: str, module: str) -> None:
        # Ids and markers write "-" as "_": two names that differ only there could not be told apart.
        taken = {known.replace("-", "_"): known for known in table}
        # The other words mean something in ids and in `Case(tolerances=…)`.
        if name.replace("-", "_") in taken or name in (EAGER, COLLECT, FAST, *TASKS, *DEFAULTS):
            raise ValueError(f"{kind} {name!r} of {module} is taken by {table.get(name, 'another name like it')}")
        table[name] = module

    @property
    def formats(self) -> Sequence[str]:
        """Names of all formats."""
        return tuple(self._formats)

    @property
    def runtimes(self) -> Sequence[str]:
        """Names of all runtimes."""
        return tuple(self._runtimes)

    def format(self, name: str) -> Format:
        """The format of a name. Raises UnknownName."""
        if name not in self._loaded_formats:
            self._known("format", name, self._formats)
            self._loaded_formats[name] = format_base.complete(importlib.import_module(self._formats[name]))
        return self._loaded_formats[name]

    def holds(self, name: str, framework: str) -> bool:
        """Whether models of a framework can be stored in a format."""
        return framework in self.format(self.made_through(name, framework)[-1]).FRAMEWORKS

    def made_through(self, name: str, framework: str = TORCH) -> list[str]:
        """A format and those that it is made from for a framework, the first one last. Raises UnknownName."""
        through = [name]
        while framework not in self.format(through[-1]).FRAMEWORKS and (source := self.format(through[-1]).FROM):
            if source in through:
                raise UnknownName(f"format {name!r} is made from itself: {' from '.join([*through, source])}")
            through.append(source)
        return through

    def runtime(self, name: str) -> Runtime:
        """The runtime of a name. Raises UnknownName."""
        if name not in self._loaded_runtimes:
            self._known("runtime", name, self._runtimes)
            self._loaded_runtimes[name] = runtime_base.complete(importlib.import_module(self._runtimes[name]))
        return self._loaded_runtimes[name]

    @property
    def devices(self) -> Sequence[str]:
        """Names of all devices that cells may have."""
        found = dict.fromkeys(device for name in self._runtimes for device in self.runtime(name).DEVICES)
        return tuple(devices.select(tuple(found)))

    def select_formats(self, names: Sequence[str]) -> Sequence[str]:
        """Formats for an option's value: the main ones for (), all for ("all",). Raises UnknownName."""
        main = (name for name in self.formats if self.format(name).MAIN)
        return self._select("format", names, self._formats, main)

    def select_runtimes(self, names: Sequence[str]) -> Sequence[str]:
        """Runtimes for an option's value: the main ones for (), all for ("all",). Raises UnknownName."""
        main = (name for name in self.runtimes if self.runtime(name).MAIN)
        return self._select("runtime", names, self._runtimes, main)

    def select_devices(self, names: Sequence[str]) -> Sequence[str]:
        """Devices for an option's value: the CPU for (); the GPU and back for both. Raises UnknownName."""
        return self._select("device", devices.select(names), dict.fromkeys(self.devices, ""), iter(("cpu",)))

    def select_precisions(self, names: Sequence[str]) -> Sequence[str]:
        """Precisions for an option's value: full for (), both for ("all",). Raises UnknownName."""
        return self._select("precision", names, dict.fromkeys(PRECISIONS, ""), iter((FULL,)))

    def _select(self, kind: str, names: Sequence[str], known: Mapping[str, str], main: Iterator[str]) -> Sequence[str]:
        if not names:
            return tuple(main)
        if "all" in names:
            return tuple(known)
        for name in names:
            self._known(kind, name, known)
        return tuple(name for name in known if name in names)

    @staticmethod
    def _known(kind: str, name: str, known: Mapping[str, str]) -> None:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise UnknownName(f"unknown {kind} {name!r}.{hint} Known {kind}s: {', '.join(known)}")

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
    ) -> list[Cell]:
        """The cells of a case in a dtype: every runtime that loads a format, on every device, as it may compute.

        has: which of the fields that some formats and tasks need the case gives, of `OPTIONAL`.
        """
        runtimes, devices, precisions = tuple(runtimes), tuple(devices), tuple(precisions)
        return [
            Cell(file, case, format_name, runtime_name, device, dtype, precision, task)
            for format_name in formats
            if set(self.format(format_name).NEEDS) <= set(has) and self.holds(format_name, framework)
            for runtime_name in runtimes
            if format_name in self.runtime(runtime_name).FORMATS
            for device in devices
            if exists(device, self.runtime(runtime_name).DEVICES, self.format(format_name).DEVICE_BOUND)
            for precision in precisions
            if precision in self.runtime(runtime_name).PRECISIONS
            for task in tasks_of(dtype, precision, has)
            if task in self.format(format_name).TASKS and task in self.runtime(runtime_name).TASKS
        ]


def register_built_in(registry: Registry) -> None:
    """What the built-in implementation of the hook does."""
    from ..formats.built_in import BUILT_IN as FORMATS
    from ..runtimes.built_in import BUILT_IN as RUNTIMES

    for name, module in FORMATS.items():
        registry.add_format(name, module)
    for name, module in RUNTIMES.items():
        registry.add_runtime(name, module)
