"""What a run says of itself at its start: versions, machine, options, and what is not here."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import sys
from typing import Any

from packaging.requirements import Requirement

from ..cache import fingerprint
from ..cells.pool import threads
from ..terms import capacity, devices, gpus
from ..terms.cell import FULL
from ..terms.version import __version__
from . import processes
from .run import Run


def lines(run: Run) -> list[str]:
    """The header in the terminal: what will be tested, by how many processes, and which part of it is not here."""
    machinery = run.machinery
    formats, runtimes, asked = (
        ", ".join(names) for names in (machinery.formats, machinery.runtimes, machinery.devices)
    )
    found = [f"modelconform: {formats} in {runtimes} on {asked}"]
    if tuple(machinery.precisions) != (FULL,):
        found[0] += f" in {' and '.join(machinery.precisions)} precision"
    if run.cluster is None:
        found.append(f"modelconform: {processes.line(run.config)}")
    if run.resumed is not None:
        found.append(run.resumed.header())
    if run_on := gpus.visible() if processes.uses_gpu(machinery.devices) else []:
        found.append(f"modelconform: {gpus.line(run_on, processes.count(run.config))}")
    for name in machinery.runtimes:
        runtime = machinery.registry.runtime(name)
        reasons = {d: runtime.unavailable(d) or devices.lacking(d) for d in runtime.DEVICES}
        found += [
            f"modelconform: {name} ({device}) is unavailable: {reason}"
            for device, reason in reasons.items()
            if reason and device in machinery.devices
        ]
    found += [f"modelconform: {fault}" for fault in machinery.registry.faults]
    for name, reason in machinery.registry.broken.items():
        # Those that run have their line above.
        if name.removeprefix("runtime ") not in machinery.runtimes:
            found.append(f"modelconform: {name} is unavailable: {reason}")
    return found


def describe(run: Run) -> dict[str, Any]:
    """The header of a log."""
    machinery, registry = run.machinery, run.machinery.registry
    modules: list[Any] = [*map(registry.format, machinery.formats), *map(registry.runtime, machinery.runtimes)]
    names = {Requirement(text).name for module in modules for text in module.REQUIRES}
    number = processes.count(run.config)
    used = gpus.visible() if processes.uses_gpu(machinery.devices) else []
    return {
        "pytest-modelconform": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": fingerprint.processor(),
        "cores": capacity.cores(),
        "processes": number,
        "threads": threads(number),
        **({"gpus": [{"kind": gpu.kind, "bytes": gpu.total} for gpu in used]} if used else {}),
        "packages": {name: _version(name) for name in sorted(names | {"pytest", "numpy"})},
        **({} if run.cluster is None else {"cluster": run.cluster()}),
        "environments": {
            module.ENVIRONMENT.name: module.ENVIRONMENT.pins() for module in modules if module.ENVIRONMENT is not None
        },
        "options": {
            "formats": list(machinery.formats),
            "runtimes": list(machinery.runtimes),
            "devices": list(machinery.devices),
            "precisions": list(machinery.precisions),
            "threads": list(run.settings.threads),
            "timeout": run.settings.timeout,
            "strict": run.settings.strict,
            "exports": run.typed_exports,
            "arguments": [str(argument) for argument in run.config.invocation_params.args],
        },
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "executable": sys.executable,
        "root": str(run.config.rootpath),
        **({"resumed": str(run.settings.resume)} if run.settings.resume is not None else {}),
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
