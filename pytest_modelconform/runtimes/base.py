"""What a runtime module offers, and the functions that most of them share.

A runtime is a module with constants and a function or two; the names in `Runtime` are all there is. A module may leave
out whatever `complete` gives. Nothing here or in a runtime's module imports the framework: that happens in its worker.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from ..terms.cell import INFERENCE
from ..terms.limits import check_limits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..environments import Environment
from ..environments.packages import lacking

WORKERS = Path(__file__).resolve().parent.parent / "workers"


class Runtime(Protocol):
    """One program that executes artifacts.

    NAME: as in options and reports (`ort-cpp`). FORMATS: names of the formats that it loads. DEVICES: what it may
    run on.
    REQUIRES: packages, as pip names them. MAIN: whether it is among the runtimes that run by default.
    PRECISIONS: "full", and "fast" if it has a faster mode; `load` says which is wanted.
    TASKS: what it can do with an artifact, see `outcome.TASKS`; "inference" if not said.
    NARROWS: dtypes that it is known to return narrower, e.g. {"int64": "int32"}; any other change is a mismatch.
    PRECISION_NOTE: what to know where its numbers look like those of a narrower precision; a hint quotes it.
    PACKAGE: the package of its environment whose version is its own, where that is not called NAME.
    ENVIRONMENT: what it needs that can't live beside everything else, see `environments.Environment`; else None.
    EXPORTS_ANYWAY: whether its formats are exported even where it can't run, since that much is then known.
    REPRO: import path of the part that `modelconform repro` makes scripts for it from, see repro/parts/__init__.py.
    REPRO_NOTE: what to know of that script, as a sentence.
    LIMITS: what it is known not to do, and why, by the kinds in `limits.py`: `unsupported` instead of tried.
    """

    NAME: str
    FORMATS: Sequence[str]
    DEVICES: Sequence[str]
    REQUIRES: Sequence[str]
    MAIN: bool
    PRECISIONS: Sequence[str]
    TASKS: Sequence[str]
    NARROWS: dict[str, str]
    PRECISION_NOTE: str
    PACKAGE: str
    ENVIRONMENT: Environment | None
    EXPORTS_ANYWAY: bool
    REPRO: str
    REPRO_NOTE: str
    LIMITS: Mapping[str, str]

    def unavailable(self, device: str) -> str | None:
        """None if the runtime can be started for `device`, else a sentence that says what to do.

        Whether the machine has such a device is seen to elsewhere.
        """

    def command(self, device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
        """The worker's command line. May build something first; raises a BuildError if that fails."""

    def load_request(self, artifact: Path, signature: dict[str, Any]) -> dict[str, Any]:
        """What `load` is asked with, besides the operation."""

    def build(self, signature: dict[str, Any], cache: Path, progress: Callable[[str], None]) -> dict[str, Any]:
        """What has to be built for an artifact before it is loaded, as further fields of `load`; by default nothing.

        Not part of the cell's time. Raises a BuildError, which is the cell's error at stage build.
        """


def python_worker(file: Path, device: str, threads: int, python: str = sys.executable) -> list[str]:
    """Command line of a worker in Python."""
    start = WORKERS / "start.py"
    return [python, str(start), str(file), "--device", device, "--threads", str(threads)]


def load_request(artifact: Path, signature: dict[str, Any]) -> dict[str, Any]:
    """The usual `load`: the artifact's main file, its format and the packages whose operators it uses."""
    model = str(artifact / signature["file"])
    return {"model": model, "format": signature["format"], "operators": signature.get("operators", [])}


def build(signature: dict[str, Any], cache: Path, progress: Callable[[str], None]) -> dict[str, Any]:
    """Nothing, as most runtimes load an artifact as it is."""
    return {}


def complete(module: ModuleType) -> Runtime:
    """A runtime module with the defaults filled in. Raises TypeError naming what a module lacks."""
    left_out = [name for name in ("NAME", "FORMATS", "command") if not hasattr(module, name)]
    if left_out:
        raise TypeError(f"runtime module {module.__name__} lacks {', '.join(left_out)}")
    namespace: Any = module
    defaults: dict[str, Any] = {
        "DEVICES": ("cpu",),
        "REQUIRES": (),
        "MAIN": False,
        "PRECISIONS": ("full",),
        "TASKS": (INFERENCE,),
        "NARROWS": {},
        "PRECISION_NOTE": "",
        "ENVIRONMENT": None,
        "EXPORTS_ANYWAY": False,
        "REPRO": "",
        "REPRO_NOTE": "",
        "LIMITS": {},
        "load_request": load_request,
        "build": build,
    }
    for name, value in defaults.items():
        if not hasattr(module, name):
            setattr(namespace, name, value)
    if not hasattr(module, "unavailable"):
        namespace.unavailable = lambda device: lacking(namespace.REQUIRES, namespace.ENVIRONMENT)
    check_limits(namespace.LIMITS, module.__name__)
    namespace.PACKAGE = getattr(module, "PACKAGE", namespace.NAME)
    runtime: Runtime = namespace
    return runtime
