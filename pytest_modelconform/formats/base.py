"""What a format module offers, and the helpers that several share.

A format is a module with constants and one function, `export`. The constants are read in the pytest process, so nothing
here or in a format's module imports torch at import time; `export` runs in the case host.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from .. import environments
from ..environments.packages import missing_packages
from ..terms.cell import INFERENCE
from ..terms.limits import check_limits

if TYPE_CHECKING:
    from ..environments import Environment
    from ..workers.host.build import Built

# What `export` returns and signature.json holds; see docs/architecture.md, "The signature".
Signature = dict[str, Any]


class ExportMismatch(Exception):
    """An exporter made a graph whose inputs or outputs can't be matched with the model's."""


class Format(Protocol):
    """A way to store a model.

    NAME: as in options and reports. REQUIRES: packages that the exporter needs. MAIN: whether it runs by default.
    REPEATS: how often each input set is run on an artifact (TorchScript optimises from the second run on).
    NEEDS: fields of a `Case` that have to be set: a case without them has no cells in this format ("cpp", "train").
    DEVICE_BOUND: whether an artifact runs on the device only that it was exported on.
    TASKS: what its artifacts can be used for, see `outcome.TASKS`; "inference" if not said.
    VERSION: raised when the module changes what it writes, so that cached artifacts are made anew.
    HOST: the name of the case host that it exports in, shared with formats that name the same; "" is the common one.
    For exporters that change their process for good. ENVIRONMENT: where that host, or the converter, lives; None is
    the main environment.
    FROM: the format whose artifacts it is made from, by a converter (below); then there is no `export`.
    FRAMEWORKS: by framework that a case may be written in the import path of the module whose `export` stores it.
    LIMITS: what it is known not to hold, and why, by the kinds in `limits.py`: `unsupported` instead of tried.
    REPRO: import path of the part that `modelconform repro` makes scripts for its exporter or converter from, see
    repro/parts/__init__.py.
    SMOKE: the case of workers/host/smoke.py that its runtimes have to run before any other: "smoke", or "smoke_images"
    for formats that hold nothing but layers on images.
    SUFFIXES: of the names of artifacts, the usual one first; () where there is none to tell them by.
    RECORDS_NAMES: whether an artifact's main file names those beside it, so that these can't be called otherwise.
    foreign: makes the signature of a file that has none, since something else wrote it; None if it is in another
    format. It runs in a process of its own. None where a file doesn't say how it is called (formats/foreign.py).
    """

    NAME: str
    REQUIRES: Sequence[str]
    MAIN: bool
    REPEATS: int
    NEEDS: Sequence[str]
    DEVICE_BOUND: bool
    TASKS: Sequence[str]
    VERSION: int
    HOST: str
    ENVIRONMENT: Environment | None
    FROM: str
    FRAMEWORKS: Mapping[str, str]
    LIMITS: Mapping[str, str]
    REPRO: str
    SMOKE: str
    SUFFIXES: Sequence[str]
    RECORDS_NAMES: bool
    foreign: Callable[[Path], Signature | None] | None

    def unavailable(self) -> str | None:
        """None if the exporter can run, else a sentence that says what to do. REQUIRES has been seen to before."""

    def tools(self) -> str:
        """What artifacts are made with besides Python packages, and in which version: part of the cache's key."""

    def export(self, built: Built, folder: Path) -> Signature:
        """Store the model in `folder`. Raises whatever the exporter raises."""

    def command(self, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
        """The command line of the converter: a worker that answers `convert`, see workers/convert.py.

        May install its environment first; raises a BuildError if that fails.
        """


def complete(module: ModuleType) -> Format:
    """A format module with the defaults filled in. Raises TypeError naming what a module lacks."""
    makes = "command" if getattr(module, "FROM", "") else "export"
    lacking = [name for name in ("NAME", makes) if not hasattr(module, name)]
    if lacking:
        raise TypeError(f"format module {module.__name__} lacks {', '.join(lacking)}")
    defaults: dict[str, Any] = {
        "REQUIRES": (),
        "MAIN": False,
        "REPEATS": 2,
        "VERSION": 1,
        "NEEDS": (),
        "TASKS": (INFERENCE,),
        "DEVICE_BOUND": False,
        "HOST": "",
        "ENVIRONMENT": None,
        "FROM": "",
        "FRAMEWORKS": {} if makes == "command" else {"torch": module.__name__},
        "LIMITS": {},
        "REPRO": "",
        "SMOKE": "smoke",
        "SUFFIXES": (),
        "RECORDS_NAMES": False,
        "foreign": None,
        "unavailable": lambda: None,
        "tools": lambda: "",
    }
    for name, value in defaults.items():
        if not hasattr(module, name):
            setattr(module, name, value)
    check_limits(module.LIMITS, module.__name__)
    return module


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
        raise ExportMismatch(f"graph input {strange[0]!r} is none of the model's inputs ({', '.join(names)})")
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
