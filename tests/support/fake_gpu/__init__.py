"""A runtime on a GPU that nobody has: real processes that take its memory, and are refused it as by PyTorch.

A case takes a GiB for each row of its inputs, from load to unload. The GPU's ledger is a folder (FAKE_GPU).
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from pytest_modelconform.cells.registry import Registry
from pytest_modelconform.runtimes.base import python_worker

NAME = "fake-gpu"
WORKER = Path(__file__).with_name("worker.py")
REPOSITORY = Path(__file__).resolve().parents[3]
# What a project's conftest.py begins with; {dev} is the folder of device files.
CONFTEST = f"""\
import sys
from pathlib import Path

sys.path.insert(0, {str(REPOSITORY)!r})

from pytest_modelconform.terms import gpus
from tests.support import fake_gpu

sys.path.append(sys.path.pop(0))
gpus.DEV = Path({{dev!r}})


def pytest_modelconform_register(registry):
    fake_gpu.register(registry)
"""


def register(registry: Registry) -> None:
    """What a package's `pytest_modelconform_register` does."""
    module: Any = ModuleType("fake_gpu_runtime")
    module.NAME = NAME
    module.FORMATS = ("torchscript-trace",)
    module.REQUIRES = ()
    module.DEVICES = ("cpu", "cuda")
    module.command = lambda device, threads, cache, progress: python_worker(WORKER, device, threads, sys.executable)
    sys.modules[module.__name__] = module
    registry.add_runtime(NAME, module.__name__)
