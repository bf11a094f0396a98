"""What a format module offers, and the helpers that several share.

A format is a module with constants and one function, `export`. The constants are read in the pytest process, so nothing
here or in a format's module imports torch at import time; `export` runs in the case host.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .. import environments
from ..environments import Environment
from ..environments.outside import guarded, is_command, is_reason, reason_of
from ..environments.packages import check_requires, missing_packages
from ..terms import description
from ..terms.case import TORCH
from ..terms.cell import INFERENCE
from ..terms.limits import check_limits
from ..terms.memory import EXPORT

if TYPE_CHECKING:
    from ..workers.host.build import Built

# What `export` returns and signature.json holds; see docs/architecture.md, "The signature".
Signature = dict[str, Any]


class ExportMismatch(Exception):
    """An exporter made a graph whose inputs or outputs can't be matched with the model's."""


def _no_converter(threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
    raise TypeError("a format without FROM has no converter")


@dataclass(frozen=True, kw_only=True, eq=False)
class Format:
    """A way to store a model: what its module defines, and the defaults of what it leaves out."""

    # The import path of the module itself, which no module says.
    module: str
    # As in options and reports.
    NAME: str
    # Packages that the exporter or converter needs, as pip names them.
    REQUIRES: Sequence[str] = ()
    # Whether it is among the formats that run by default.
    MAIN: bool = False
    # How often each input set is run on an artifact (TorchScript optimises from the second run on).
    REPEATS: int = 2
    # Raised when the module changes what it writes, so that cached artifacts are made anew.
    VERSION: int = 1
    # What a case has to have, of `EVERYTHING` in terms/case.py: without it, it has no cells in this format.
    NEEDS: Sequence[str] = ()
    # What its artifacts can be used for, of `TASKS` in terms/cell.py.
    TASKS: Sequence[str] = (INFERENCE,)
    # Whether nothing is stored: runtimes import the case and build the model themselves, and `export` says only how the
    # model is called. They find the case in the signature, as `case`: what the case host is asked to build, with the
    # folders that it imports from (`path`) and the `digest` of the model and its inputs.
    IN_PLACE: bool = False
    # Whether an artifact takes all arguments that forward does, and not only those of the exported input set.
    ANY_ARGUMENTS: bool = False
    # Whether an artifact runs on the device only that it was exported on.
    DEVICE_BOUND: bool = False
    # The name of the case host that it exports in, shared with formats that name the same; "" is the common one. For
    # exporters that change their process for good.
    HOST: str = ""
    # Where that host, or the converter, lives; None is the main environment.
    ENVIRONMENT: Environment | None = None
    # The format whose artifacts it is made from, by a converter (`command`); then there is no `export`.
    FROM: str = ""
    # Whether its converter is given the case's own input sets, to see in which range numbers are.
    CALIBRATES: bool = False
    # Whether it holds models that PyTorch has quantised (dtype int8).
    QUANTISED: bool = False
    # By framework that a case may be written in the import path of the module whose `export` stores it; "torch" and
    # the module itself, where it doesn't say.
    FRAMEWORKS: Mapping[str, str]
    # The kinds of a case's own operators (terms/operators.py) that its exporter loads, as `built.libraries`.
    OPERATORS: Sequence[str] = ()
    # What it is known not to hold, and why, by the kinds in terms/limits.py: `unsupported` instead of tried.
    LIMITS: Mapping[str, str] = field(default_factory=dict)
    # Import path of the part that `modelconform repro` makes scripts for its exporter or converter from, see
    # repro/parts/__init__.py.
    REPRO: str = ""
    # What the part is told where several formats share it.
    REPRO_OPTIONS: Mapping[str, Any] = field(default_factory=dict)
    # The case of workers/host/smoke.py that its runtimes have to run before any other: "smoke", or "smoke_images" for
    # formats that hold nothing but layers on images.
    SMOKE: str = "smoke"
    # Functions that `export` calls, by import path, whose parameters a case may give as options, each with those that
    # it may not: what the plugin gives itself, or what means nothing here. `built.options` has what was given, by
    # function.
    EXPORT_OPTIONS: Mapping[str, Sequence[str]] = field(default_factory=dict)
    # Of the names of artifacts, the usual one first; () where there is none to tell them by.
    SUFFIXES: Sequence[str] = ()
    # Whether an artifact's main file names those beside it, so that these can't be called otherwise.
    RECORDS_NAMES: bool = False

    # export(built, folder): stores the model and returns its signature; raises whatever the exporter raises. Called in
    # the case host, by the import path in FRAMEWORKS. None where there is a converter.
    export: Callable[[Built, Path], Signature] | None = None
    # command(threads, cache, progress): the command line of the converter, a worker that answers `convert`, see
    # workers/convert.py. Called by the pool. It may install its environment first; raises BuildError if that fails.
    command: Callable[[int, Path, Callable[[str], None]], list[str]] = _no_converter
    # foreign(file): makes the signature of a file that has none, since something else wrote it; None if it is in
    # another format. Called in a process of its own, by `modelconform run`. None where a file doesn't say how it is
    # called (formats/foreign.py).
    foreign: Callable[[Path], Signature | None] | None = None
    # unavailable(): None if the exporter can run, else a sentence that says what to do. REQUIRES and ENVIRONMENT have
    # been seen to before.
    unavailable: Callable[[], str | None] = lambda: None
    # memory(size): bytes that its exporter takes beside a model of so many bytes, as far as that was measured.
    memory: Callable[[int], float] = lambda size: EXPORT * size
    # tools(): what artifacts are made with besides Python packages, and in which version: part of the cache's key.
    tools: Callable[[], str] = lambda: ""


def described(module: ModuleType) -> Format:
    """What a format module offers. Raises TypeError naming the member that it lacks or has as something else.

    `command` and `tools` raise BuildError and ModuleFault only, whatever the module does; `unavailable` raises nothing.
    """
    name = module.__name__
    makes = "command" if getattr(module, "FROM", "") else "export"
    derived = {"FRAMEWORKS": {} if makes == "command" else {TORCH: name}}
    told = {"module": name}
    found = description.described(module, Format, "format", derived, told, needs=(makes,), unseen=("Built",))
    check_limits(found.LIMITS, name)
    check_requires(found.REQUIRES, name)
    asked = guarded(name, found.unavailable, "unavailable", is_reason, "None or a sentence")
    return replace(
        found,
        unavailable=lambda: reason_of(asked),
        command=guarded(name, found.command, "command", is_command, "a list of strings")
        if found.FROM
        else found.command,
        tools=guarded(name, found.tools, "tools", lambda text: isinstance(text, str), "a string"),
    )


def broken(name: str, path: str, reason: str, module: ModuleType | None) -> Format:
    """What stands for a format whose module is of no use: unavailable, with the reason. path: of the module."""
    return Format(
        module=path,
        NAME=name,
        MAIN=getattr(module, "MAIN", False) is True,
        FRAMEWORKS={TORCH: path},
        unavailable=lambda: reason,
    )


def unavailable(module: Format) -> str | None:
    """None if a format can be exported to, else a sentence that says what to do."""
    environment = environments.unavailable(module.ENVIRONMENT) if module.ENVIRONMENT else None
    return missing_packages(module.REQUIRES) or environment or module.unavailable()


def tree_signature(
    file: str, operators: Sequence[str] = (), shapes: Sequence[dict[str, Any]] | None = None
) -> Signature:
    """The signature of a format whose artifacts are called like the model itself."""
    return {"file": file, "layout": "tree", "inputs": shapes, "operators": sorted(operators)}


def flat_signature(
    file: str, built: Built, inputs: Sequence[str], outputs: Sequence[str], names: Sequence[str]
) -> Signature:
    """The signature of a graph.

    inputs, outputs: names of the stored graph's inputs and outputs, in its order. names: the graph's name for each
    tensor
    of the exporters' input set, in the order of `built.input_leaves`; one that is not among `inputs` was dropped.
    Raises ExportMismatch where that doesn't fit.
    """
    leaves = dict(zip(names, built.input_leaves, strict=True))
    strange = [name for name in inputs if name not in leaves]
    if strange:
        raise ExportMismatch(f"graph input {strange[0]!r} isn't one of the model's inputs ({', '.join(names)})")
    paths = built.output_paths
    if len(outputs) != len(paths):
        raise ExportMismatch(
            f"the graph has {len(outputs)} outputs ({', '.join(outputs)}), the model returns {len(paths)} tensors"
        )
    if len(set(outputs)) != len(outputs):
        raise ExportMismatch(f"two graph outputs have the same name: {', '.join(outputs)}")
    return {
        "file": file,
        "layout": "flat",
        "inputs": [{"name": name, **leaves[name]} for name in inputs],
        "dropped": [leaf["path"] for name, leaf in leaves.items() if name not in inputs],
        "outputs": [{"name": name, "path": path} for name, path in zip(outputs, paths, strict=True)],
        "operators": [],
    }


def in_order(result: Any, paths: Sequence[str]) -> list[Any]:
    """The leaves of what another framework returned, in the order of these paths (`/y`, `/state/0`).

    Frameworks sort mappings, or don't. Raises ExportMismatch where the result has others.
    """
    found: dict[str, Any] = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, Mapping):
            for key, entry in value.items():
                walk(entry, f"{path}/{key}")
        elif isinstance(value, (list, tuple)):
            for place, entry in enumerate(value):
                walk(entry, f"{path}/{place}")
        elif value is not None:
            found[path] = value

    walk(result, "")
    if set(found) != set(paths):
        has, wants = (", ".join(f"output{path}" for path in sorted(names)) for names in (found, paths))
        raise ExportMismatch(f"it returns {has}, the model {wants}")
    return [found[path] for path in paths]
