"""Runtimes in environments of their own, which hold nothing; a plugin for pytest, `-p tests.support.isolated`.

`isolated-useless` turns out to be of no use, `isolated-endless` is never ready. Each leaves the id of the process that
makes it in the folder FAKE_PIDS.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from pytest_modelconform import environments
from pytest_modelconform.cells.registry import Registry
from pytest_modelconform.environments import Environment
from tests.support.fakes import command_line

_BEGIN = "import os, pathlib; pathlib.Path(os.environ['FAKE_PIDS'], '{}-%d' % os.getppid()).touch(); "
_CHECKS = {"useless": "raise SystemExit('there is no such library')", "endless": "import time; time.sleep(600)"}


def pytest_modelconform_register(registry: Registry) -> None:
    """What a package's own does."""
    for name, check in _CHECKS.items():
        module: Any = ModuleType(f"isolated_{name}")
        module.NAME = f"isolated-{name}"
        module.FORMATS = ("torchscript-trace",)
        module.ENVIRONMENT = Environment(name, check=_BEGIN.format(name) + check)
        module.command = _command(module.ENVIRONMENT)
        sys.modules[module.__name__] = module
        registry.add_runtime(module.NAME, module.__name__)


def _command(environment: Environment) -> Callable[..., list[str]]:
    def command(device: str, threads: int, cache: Path, progress: Callable[[str], None]) -> list[str]:
        environments.python(environment, cache, progress)
        return command_line("good@never")

    return command
