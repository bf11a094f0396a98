"""This machine and this installation: cores, versions, durations of earlier runs."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement

from . import __version__

if TYPE_CHECKING:
    from .session import SessionPlugin


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads(share: int) -> int:
    """Threads of each worker, where `share` pytest processes divide the machine."""
    return max(1, cores() // max(share, 1))


def describe(session: SessionPlugin) -> dict[str, Any]:
    """The header of a log: versions, machine and options."""
    registry = session.registry
    modules: list[Any] = [*map(registry.format, session.formats), *map(registry.runtime, session.runtimes)]
    names = {Requirement(text).name for module in modules for text in module.REQUIRES}
    processes = session.config.getoption("numprocesses", None) or 1
    return {
        "pytest-modelconform": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": cores(),
        "processes": processes,
        "threads": threads(processes),
        "packages": {name: _version(name) for name in sorted(names | {"pytest", "numpy"})},
        "environments": {
            module.ENVIRONMENT.name: module.ENVIRONMENT.pins() for module in modules if module.ENVIRONMENT is not None
        },
        "options": {
            "formats": list(session.formats),
            "runtimes": list(session.runtimes),
            "devices": list(session.devices),
            "precisions": list(session.precisions),
            "threads": list(session.settings.threads),
            "timeout": session.settings.timeout,
            "arguments": [str(argument) for argument in session.config.invocation_params.args],
        },
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "executable": sys.executable,
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def durations(cache: Path) -> dict[str, float]:
    """Seconds by node id, of the last run of each; empty if nothing is known."""
    try:
        known = json.loads((cache / "durations.json").read_text())
        return {str(key): float(value) for key, value in known.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def remember_durations(cache: Path, seconds: Mapping[str, float]) -> None:
    """Add the durations of a run to the known ones."""
    handle, temporary = tempfile.mkstemp(prefix=".durations-", dir=cache)
    with os.fdopen(handle, "w") as file:
        json.dump({**durations(cache), **{key: round(value, 3) for key, value in seconds.items()}}, file)
    Path(temporary).rename(cache / "durations.json")
