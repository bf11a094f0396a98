"""Runtimes that crash, hang, flood and lie on instruction: real processes behind the public hook."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from pytest_modelconform.cells.registry import Registry
from pytest_modelconform.runtimes.base import python_worker

WORKER = Path(__file__).with_name("worker.py")
REPOSITORY = Path(__file__).resolve().parents[3]

# behaviour@stage, as in worker.py.
FAKES = (
    "good@never",
    "segfault@hello",
    "leave@hello",
    "refuse@hello",
    "protocol@hello",
    "sysexit@import",
    "segfault@start",
    "wrong@smoke",
    "segfault@smoke",
    "segfault@load",
    "abort@load",
    "leave@load",
    "endless@load",
    "refuse@load",
    "nojson@load",
    "flood@load",
    "segfault@run",
    "abort@run",
    "leave@run",
    "endless@run",
    "oom@run",
    "flood@run",
    "lines@run",
    "nojson@run",
    "scalar@run",
    "wrongid@run",
    "refuse@run",
    "sysexit@run",
    "stderr@run",
    "chatty@run",
    "family@run",
    "twice@run",
    "truncated@run",
    "shortened@run",
    "garbage@run",
    "nofile@run",
    "missing@run",
    "notree@run",
    "fewer@run",
    "noruns@run",
    "circular@run",
    "structure@run",
    "wrong@run",
    "changes@run",
    "segfault@unload",
    "good@concurrent",
    "differs@concurrent",
    "nearly@concurrent",
    "throws@concurrent",
    "noclones@concurrent",
    "notrials@concurrent",
    "refuse@concurrent",
    "segfault@concurrent",
    "endless@concurrent",
    # Last: of too many workers the oldest goes, and this one has to be there still for a second case.
    "stateful@run",
)
# Runtimes that are not there.
ABSENT = "fake-absent"

CONFTEST = f"""\
import sys

# Before the packages that are installed while this is imported: wheels there are that bring tests of their own.
sys.path.insert(0, {str(REPOSITORY)!r})

from tests.support import fakes

sys.path.append(sys.path.pop(0))


def pytest_modelconform_register(registry):
    fakes.register(registry)
"""


def runtime_name(fake: str) -> str:
    """The runtime's name of a `behaviour@stage`."""
    return "fake-" + fake.replace("@", "-")


def command_line(fake: str, python: str = sys.executable) -> list[str]:
    """The command line of a fake worker."""
    return ["env", f"FAKE={fake}", *python_worker(WORKER, "cpu", 1, python)]


def register(registry: Registry) -> None:
    """What a package's `pytest_modelconform_register` does."""
    for fake in FAKES:
        _add(registry, runtime_name(fake), lambda device, threads, cache, progress, fake=fake: command_line(fake))
    _add(registry, ABSENT, lambda *_: [], requires=("no-such-package>=3",))


def _add(registry: Registry, name: str, command: Callable[..., list[str]], requires: Sequence[str] = ()) -> None:
    module: Any = ModuleType(name.replace("-", "_"))
    module.NAME = name
    module.FORMATS = ("torchscript-trace",)
    module.REQUIRES = requires
    module.command = command
    sys.modules[module.__name__] = module
    registry.add_runtime(name, module.__name__)
