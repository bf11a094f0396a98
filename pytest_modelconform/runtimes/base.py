"""What a runtime module offers, and the functions that most of them share.

A runtime is a module with constants and a function or two; the fields of `Runtime` are all there is, and a module may
leave out whatever has a default. Nothing here or in a runtime's module imports the framework: that happens in its
worker.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from ..environments import Environment
from ..environments.outside import ModuleFault, guarded, is_command, is_reason, is_size, is_table, reason_of
from ..environments.packages import check_requires, lacking
from ..terms import description
from ..terms.cell import FULL, INFERENCE, PRECISIONS, TASKS
from ..terms.limits import check_limits
from ..terms.memory import LOAD
from ..terms.operators import LOADABLE

WORKERS = Path(__file__).resolve().parent.parent / "workers"


def python_worker(file: Path, device: str, threads: int, python: str = sys.executable) -> list[str]:
    """Command line of a worker in Python."""
    start = WORKERS / "start.py"
    return [python, str(start), str(file), "--device", device, "--threads", str(threads)]


def load_request(artifact: Path, signature: dict[str, Any]) -> dict[str, Any]:
    """The usual `load`: the artifact's main file, its format and the packages whose operators it uses.

    Where an ONNX file has weights in files beside it, these, too: readers of files find them, a page does not. And of a
    program that takes or returns classes of packages, the modules that register these.
    """
    model = str(artifact / signature["file"])
    found = {"model": model, "format": signature["format"], "operators": signature.get("operators", [])}
    external = [str(artifact / name) for name in signature.get("external", [])]
    found |= {"external": external} if external else {}
    return found | ({"containers": signature["containers"]} if signature.get("containers") else {})


def build(signature: dict[str, Any], cache: Path, progress: Callable[[str], None]) -> dict[str, Any]:
    """Nothing, as most runtimes load an artifact as it is."""
    return {}


@dataclass(frozen=True, kw_only=True, eq=False)
class Runtime:
    """One program that executes artifacts: what its module defines, and the defaults of what it leaves out."""

    # As in options and reports (`ort-cpp`).
    NAME: str
    # Names of the formats that it loads.
    FORMATS: Sequence[str]
    # What it may run on, of terms/devices.py.
    DEVICES: Sequence[str] = ("cpu",)
    # Packages that it needs, as pip names them; without them its cells are `unavailable`.
    REQUIRES: Sequence[str] = ()
    # Whether it is among the runtimes that run by default.
    MAIN: bool = False
    # "full", and "fast" if it has a faster mode; `load` says which is wanted.
    PRECISIONS: Sequence[str] = (FULL,)
    # What it can do with an artifact, of `TASKS` in terms/cell.py.
    TASKS: Sequence[str] = (INFERENCE,)
    # Dtypes that it is known to return narrower, e.g. {"int64": "int32"}; any other change is a mismatch.
    NARROWS: Mapping[str, str] = field(default_factory=dict)
    # Whether an input that it has refused spoils what it has loaded: it is loaded again for those that follow.
    RELOADS: bool = False
    # What to know where its numbers look like those of a narrower precision; a hint quotes it.
    PRECISION_NOTE: str = ""
    # The package of its environment whose version is its own; NAME, where it doesn't say.
    PACKAGE: str
    # Whose kernels it computes with: runtimes of one family are no two opinions. NAME, where it doesn't say.
    FAMILY: str
    # What of a case's own operators it loads, of `LOADABLE` in terms/operators.py; () for none.
    OPERATORS: Sequence[str] = ()
    # What it needs that can't live beside everything else.
    ENVIRONMENT: Environment | None = None
    # The engine of the C++ harness that it is, of `harness.ENGINES`; "" for a worker of another kind.
    ENGINE: str = ""
    # Whether its formats are exported even where it can't run, since that much is then known.
    EXPORTS_ANYWAY: bool = False
    # Import path of the part that `modelconform repro` makes scripts for it from, see repro/parts/__init__.py.
    REPRO: str = ""
    # What to know of that script, as a sentence.
    REPRO_NOTE: str = ""
    # What it is known not to do, and why, by the kinds in terms/limits.py: `unsupported` instead of tried.
    LIMITS: Mapping[str, str] = field(default_factory=dict)

    # unavailable(device): None if the runtime can be started there, else a sentence that says what to do. Whether the
    # machine has such a device is seen to elsewhere. Called before any cell of it is tried, and by `modelconform
    # doctor`. By default REQUIRES and ENVIRONMENT decide.
    unavailable: Callable[[str], str | None]
    # command(device, threads, cache, progress): the worker's command line. Called by the pool, when the first cell
    # needs a worker. It may build or install something first; raises BuildError if that fails.
    command: Callable[[str, int, Path, Callable[[str], None]], list[str]]
    # load_request(artifact's folder, signature): what `load` is asked with, besides the operation. Called for every
    # cell.
    load_request: Callable[[Path, dict[str, Any]], dict[str, Any]] = load_request
    # build(signature, cache, progress): what has to be built for an artifact before it is loaded, as further fields of
    # `load`. Called for every cell, and not part of its time. Raises BuildError, which is the cell's error at stage
    # build.
    build: Callable[[dict[str, Any], Path, Callable[[str], None]], dict[str, Any]] = build
    # memory(size, signature): bytes of memory that loading and running an artifact of so many bytes takes, as far as
    # that was measured (benchmarks/big.py); asked for float32, in full precision. Called before a load.
    memory: Callable[[int, dict[str, Any]], float] = lambda size, signature: LOAD * size


def described(module: ModuleType) -> Runtime:
    """What a runtime module offers. Raises TypeError naming the member that it lacks or has as something else.

    Its functions raise BuildError and ModuleFault only, whatever the module does; `unavailable` raises nothing.
    """

    def unavailable(device: str) -> str | None:
        return lacking(runtime.REQUIRES, runtime.ENVIRONMENT)

    derived = {"unavailable": unavailable, **dict.fromkeys(("PACKAGE", "FAMILY"), getattr(module, "NAME", ""))}
    runtime = description.described(module, Runtime, "runtime", derived)
    name = module.__name__
    check_limits(runtime.LIMITS, name)
    check_requires(runtime.REQUIRES, name)
    if strange := [kind for kind in runtime.OPERATORS if kind not in LOADABLE]:
        raise TypeError(f"{name}: OPERATORS has {strange[0]!r}; it may have {', '.join(LOADABLE)}")
    for member, known in (("PRECISIONS", PRECISIONS), ("TASKS", TASKS), ("FORMATS", None), ("DEVICES", None)):
        values = getattr(runtime, member)
        if not values:
            raise TypeError(f"{name}: {member} is empty, so the runtime would never run: name at least one")
        if known and (strange := [value for value in values if value not in known]):
            raise TypeError(f"{name}: {member} has {strange[0]!r}; it may have {', '.join(known)}")
    asked = guarded(name, runtime.unavailable, "unavailable", is_reason, "None or a sentence")
    return replace(
        runtime,
        unavailable=lambda device: reason_of(asked, device),
        command=guarded(name, runtime.command, "command", is_command, "a list of strings"),
        load_request=guarded(name, runtime.load_request, "load_request", is_table, "a dict"),
        build=guarded(name, runtime.build, "build", is_table, "a dict"),
        memory=guarded(name, runtime.memory, "memory", is_size, "a number of bytes"),
    )


def broken(name: str, reason: str, formats: Sequence[str], module: ModuleType | None) -> Runtime:
    """What stands for a runtime whose module is of no use: unavailable, with the reason.

    formats: of its cells, unless the module, where it could be imported, names others.
    """

    def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
        raise ModuleFault(reason)

    said = getattr(module, "FORMATS", ())
    is_list = isinstance(said, (list, tuple)) and bool(said) and all(isinstance(one, str) for one in said)
    return Runtime(
        NAME=name,
        FORMATS=tuple(said) if is_list else tuple(formats),
        MAIN=getattr(module, "MAIN", False) is True,
        PACKAGE=name,
        FAMILY=name,
        unavailable=lambda device: reason,
        command=command,
    )
