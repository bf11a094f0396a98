"""Which formats and runtimes a run has, and which of the names that were given no cell stands for.

A format that is named brings the runtimes that load it, and a runtime the formats that it loads: the default ones, or
all where none of the default ones does. Where both lists are given, they are taken as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from ..formats.frameworks import FRAMEWORKS
from ..terms.accuracy import accuracy
from ..terms.case import EVERYTHING
from ..terms.cell import Cell
from ..terms.exports import base_of, is_variant
from .case_files import Declared
from .registry import Registry
from .settings import Settings

# The lists that say what is tried, each with what one of its names is called.
KINDS = {"formats": "format", "runtimes": "runtime", "devices": "device", "precisions": "precision"}
ALL = "all"
# Names that a message lists, and lines that it has, at the most.
_SHOWN_NAMES = 8
_SHOWN_LINES = 4


@dataclass(frozen=True)
class Selection:
    """What a run tries: every one of the formats in every one of the runtimes that loads it, and so on."""

    formats: Sequence[str]
    runtimes: Sequence[str]
    devices: Sequence[str]
    precisions: Sequence[str]


@dataclass(frozen=True)
class Asked:
    """A name that was given, and so has to have a cell. typed: see `Settings`.

    kind: of `KINDS`, "required", or "export" for a column that options are given for.
    """

    kind: str
    name: str
    typed: bool

    @property
    def said(self) -> str:
        """As messages have it."""
        options = {"required": "--modelconform-require", "export": "--modelconform-export"}
        return f"{options.get(self.kind, self.kind)} {self.name}"

    def has(self, cells: Iterable[Cell]) -> bool:
        """Whether one of these cells stands for it."""
        kinds = {"required": ("format", "runtime"), "export": ("format",)}.get(self.kind, (self.kind,))
        return any(getattr(cell, kind) == self.name for cell in cells if not cell.is_check for kind in kinds)


def select(registry: Registry, settings: Settings) -> Selection:
    """What a run tries. Raises UnknownName.

    A list of the ini file only stands in for the default names where the command line gives the other one.
    """
    formats, runtimes = settings.formats, settings.runtimes
    devices, precisions = (
        registry.select_devices(settings.devices),
        registry.select_precisions(settings.precisions),
    )
    pool = Selection(registry.select_formats(formats), registry.select_runtimes(runtimes), devices, precisions)
    loads = _Loads(registry, devices, precisions)
    formats_are_free = not formats or _yields(settings, "formats", to="runtimes")
    runtimes_are_free = not runtimes or _yields(settings, "runtimes", to="formats")
    if runtimes_are_free and not formats_are_free:
        usual = registry.select_runtimes(())
        found = _brought(pool.runtimes, usual, registry.runtimes, pool.formats, lambda r, f: loads(f, r))
        return _selection(pool, pool.formats, found)
    if formats_are_free and not runtimes_are_free:
        usual = registry.select_formats(())
        # What is less exact on purpose is there for those who name it.
        exact = [name for name in registry.formats if accuracy(name) is None]
        return _selection(pool, _brought(pool.formats, usual, exact, pool.runtimes, loads), pool.runtimes)
    # Names stay as they are given; of default names, and of `all`, those stay that the other list has a partner for.
    if not (ALL in formats and ALL in runtimes):
        of_formats = [f for f in pool.formats if _named(formats) or any(loads(f, r) for r in pool.runtimes)]
        of_runtimes = [r for r in pool.runtimes if _named(runtimes) or any(loads(f, r) for f in pool.formats)]
        return _selection(pool, of_formats, of_runtimes)
    return pool


def asked(settings: Settings) -> list[Asked]:
    """The names that have to have a cell.

    What the ini file names is a default, for which nobody is called to account where the command line narrows the run.
    """
    narrowed = any(kind in settings.typed and getattr(settings, kind) for kind in KINDS)
    found = [
        Asked(word, name, kind in settings.typed)
        for kind, word in (*KINDS.items(), ("require", "required"))
        if kind in settings.typed or not narrowed
        for name in getattr(settings, kind)
        if name != ALL
    ]
    if "export" in settings.typed or not narrowed:
        found += [Asked("export", name, "export" in settings.typed) for name in settings.exports]
    return list(dict.fromkeys(found))


def lacking(registry: Registry, selection: Selection, names: Iterable[Asked]) -> list[tuple[Asked, str]]:
    """The names that no cell of any case could stand for, each with the reason and what to do."""
    found = [(name, why) for name in names if (why := _why(registry, selection, name)) is not None]
    # Where nothing runs on a device, that says why formats and runtimes have no cell there.
    return [fault for fault in found if fault[0].kind in ("device", "precision")] or found


def unmet(registry: Registry, selection: Selection, name: Asked, cases: Sequence[Declared]) -> str:
    """Why none of these cases has a cell of a name which others could have, and what to do."""
    remedy = f"Add such a case, or leave {name.name} out."
    if not cases:
        return "no case was collected. A case file is a .py file that imports pytest_modelconform."
    if name.kind in ("format", "export") or (
        name.kind == "required" and (name.name in selection.formats or is_variant(name.name))
    ):
        return f"{_unheld(registry, name.name, cases)}. {remedy}"
    if name.kind in ("runtime", "required"):
        loads = _Loads(registry, selection.devices, selection.precisions)
        formats = [f for f in selection.formats if loads(f, name.name)]
        reasons = [f"it loads {f}, and {_unheld(registry, f, cases)}" for f in formats]
        return f"{'; '.join(reasons[:2])}. {remedy}"
    return f"no case that was collected has one. {remedy}"


def message(faults: Sequence[tuple[Asked, str]]) -> str:
    """What ends a run in which names have no cell: a line each."""
    if len(faults) == 1:
        return f"modelconform: {faults[0][0].said} has no cell: {faults[0][1]}"
    said = [f"{name.said}: {why}" for name, why in faults]
    more = [f"and {len(said) - _SHOWN_LINES} more"] if len(said) > _SHOWN_LINES else []
    return "\n  ".join(["modelconform: these names were given, and have no cell:", *said[:_SHOWN_LINES], *more])


class _Loads:
    """Whether a runtime loads a format on one of these devices, in one of these precisions, for some case at least."""

    def __init__(self, registry: Registry, devices: Sequence[str], precisions: Sequence[str]) -> None:
        self.registry = registry
        self.devices = devices
        self.precisions = precisions

    def __call__(self, format_name: str, runtime: str) -> bool:
        if base_of(format_name) not in self.registry.runtime(runtime).FORMATS:
            return False
        asked = ((format_name,), (runtime,), self.devices, "float32", self.precisions, EVERYTHING)
        return any(self.registry.cells("", "", *asked, framework) for framework in FRAMEWORKS)


def _named(names: Sequence[str]) -> bool:
    """Whether a list names things one by one."""
    return bool(names) and ALL not in names


def _yields(settings: Settings, own: str, to: str) -> bool:
    """Whether a list that the ini file gives meets the other one on the command line."""
    return own not in settings.typed and to in settings.typed and bool(getattr(settings, to))


def _selection(pool: Selection, formats: Sequence[str], runtimes: Sequence[str]) -> Selection:
    return Selection(tuple(formats), tuple(runtimes), pool.devices, pool.precisions)


def _brought(
    pool: Collection[str],
    usual: Collection[str],
    everything: Sequence[str],
    wanted: Sequence[str],
    fits: Callable[[str, str], bool],
) -> list[str]:
    """Of a pool what fits something that is wanted; from outside of it what fits that for which it has nothing."""
    found: set[str] = set()
    for want in wanted:
        of_pool = {name for name in pool if fits(name, want)}
        if not of_pool:
            fitting = {name for name in everything if fits(name, want)}
            of_pool = fitting & set(usual) or fitting
        found |= of_pool
    return [name for name in everything if name in found]


def _why(registry: Registry, selection: Selection, name: Asked) -> str | None:
    """None for a name that a cell could stand for, else why there is none."""
    loads = _Loads(registry, selection.devices, selection.precisions)
    pairs = [(f, r) for f in selection.formats for r in selection.runtimes if loads(f, r)]
    if name.kind == "format":
        return None if any(f == name.name for f, _ in pairs) else _why_format(registry, selection, name.name)
    if name.kind == "runtime":
        return None if any(r == name.name for _, r in pairs) else _why_runtime(registry, selection, name.name)
    if name.kind == "export":
        base = base_of(name.name)
        if any(base_of(f) == base for f in selection.formats):
            return None
        return f"{base} is none of the formats of this run. Add {base} to --modelconform-formats."
    if name.kind == "required":
        if any({name.name, base_of(name.name)} & set(pair) for pair in pairs):
            return None
        if name.name in selection.runtimes:
            return _why_runtime(registry, selection, name.name)
        if name.name in selection.formats:
            return _why_format(registry, selection, name.name)
        option = "--modelconform-runtimes" if name.name in registry.runtimes else "--modelconform-formats"
        return (
            f"it is neither among the formats nor among the runtimes of this run. Add it to {option}, or leave it "
            f"out of --modelconform-require."
        )
    at_device = (name.name,) if name.kind == "device" else selection.devices
    in_precision = (name.name,) if name.kind == "precision" else selection.precisions
    there = _Loads(registry, at_device, in_precision)
    if any(there(f, r) for f in selection.formats for r in selection.runtimes):
        return None
    others = [r for r in registry.runtimes if any(there(f, r) for f in registry.formats)]
    where = "there" if name.kind == "device" else "so"
    return f"nothing of this run ({_listed(selection.runtimes)}) runs {where}. {_remedy('runtimes', others)}"


def _why_format(registry: Registry, selection: Selection, name: str) -> str:
    loading = [r for r in registry.runtimes if base_of(name) in registry.runtime(r).FORMATS]
    here = [r for r in loading if r in selection.runtimes]
    if not here:
        return f"no runtime of this run ({_listed(selection.runtimes)}) loads it. {_remedy('runtimes', loading)}"
    return f"none of {_listed(here)} loads it {_where(selection)}. {_places(registry, here)}"


def _why_runtime(registry: Registry, selection: Selection, name: str) -> str:
    formats = [f for f in registry.runtime(name).FORMATS if f in registry.formats]
    if not set(formats) & set(selection.formats):
        return f"it loads no format of this run ({_listed(selection.formats)}). {_remedy('formats', formats)}"
    return f"it does not run {_where(selection)}. {_places(registry, [name])}"


def _where(selection: Selection) -> str:
    return f"on {_listed(selection.devices)} in {_listed(selection.precisions)} precision"


def _places(registry: Registry, runtimes: Sequence[str]) -> str:
    """Where the first of these runs, as what to ask for."""
    runtime = registry.runtime(runtimes[0])
    devices, precisions = ",".join(runtime.DEVICES), ",".join(runtime.PRECISIONS)
    return f"{runtimes[0]} takes --modelconform-devices {devices} and --modelconform-precisions {precisions}."


def _remedy(kind: str, names: Sequence[str]) -> str:
    if not names:
        return f"No registered {KINDS[kind]} does: leave the name out."
    which = names[0] if len(names) == 1 else f"one of {_listed(names)}"
    return f"Add {which} to --modelconform-{kind}, or leave that option out."


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return (", ".join(names[:_SHOWN_NAMES]) or "(none)") + more


def _unheld(registry: Registry, name: str, cases: Sequence[Declared]) -> str:
    """Why none of these cases has a cell in a format."""
    if is_variant(name) and not any(name in case.exports for case in cases):
        return f"no case that was collected has exports={{{name!r}: …}}, nor does --modelconform-export give it options"
    if needs := [need for need in registry.format(name).NEEDS if not any(need in case.has for case in cases)]:
        field = f"twins={{{needs[0].removeprefix('twin-')!r}: …}}" if needs[0].startswith("twin-") else f"{needs[0]}=…"
        return f"no case that was collected has the field {field} that {name} needs"
    frameworks = [f for f in FRAMEWORKS if registry.holds(name, f)]
    given = list(dict.fromkeys(case.framework for case in cases))
    if not set(given) & set(frameworks):
        return f"{name} stores models of {_listed(frameworks)}, and the cases collected are of {_listed(given)}"
    return f"no case that was collected has a cell of {name}"
