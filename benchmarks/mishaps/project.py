"""Small cases, and what their cells need: exporters, compilers, a program in C++, an environment of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_CASE = """\
import torch

from pytest_modelconform import Case


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([{weight}]))

    def forward(self, x):
        return torch.relu(x * self.weight + 1.0)


inputs = {{"four": lambda: (torch.arange(1.0, 5.0).reshape(2, 2),), "one": lambda: (torch.tensor([[5.0, -9.0]]),)}}
case = Case(model=lambda: Net(), inputs=inputs)
"""
# PyTorch in an environment of its own, with a small package that is installed there.
_CONFTEST = """\
import sys
from types import ModuleType

from pytest_modelconform import environments
from pytest_modelconform.environments import Environment
from pytest_modelconform.runtimes.base import WORKERS, python_worker

APART = Environment("apart", requirements=("iniconfig==2.0.0",), beside=True)


def command(device, threads, cache, progress):
    python = environments.python(APART, cache, progress)
    return python_worker(WORKERS / "python" / "torch_worker.py", device, threads, python)


def pytest_modelconform_register(registry):
    module = ModuleType("mishaps_apart")
    module.NAME, module.FORMATS, module.ENVIRONMENT = "apart", ("torchscript-trace",), APART
    module.command = command
    sys.modules[module.__name__] = module
    registry.add_runtime("apart", module.__name__)
"""


@dataclass(frozen=True)
class Flavour:
    """What a run is of. cases: their names. options: of pytest. fresh: folders of the cache that it begins without."""

    name: str
    cases: tuple[str, ...]
    formats: str
    runtimes: str
    fresh: tuple[str, ...] = ("artifacts", "cases", "references", "refusals", "threads")

    @property
    def options(self) -> list[str]:
        """Of the command line."""
        return [f"--modelconform-formats={self.formats}", f"--modelconform-runtimes={self.runtimes}"]

    @property
    def count(self) -> int:
        """How many cells there are."""
        formats, runtimes = self.formats.split(","), self.runtimes.split(",")
        # aoti has no cell in a runtime that loads TorchScript only, and `apart` is one.
        pairs = sum(not (f == "aoti" and r == "apart") for f in formats for r in runtimes)
        return len(self.cases) * (1 + pairs)


FLAVOURS = {
    one.name: one
    for one in (
        Flavour("plain", ("one", "two", "three"), "torchscript-trace", "torch"),
        Flavour("programs", ("one", "two"), "torchscript-trace,torchscript-script", "torch,libtorch-cpp"),
        Flavour("compiles", ("one", "two"), "torchscript-trace,aoti", "torch"),
        Flavour("installs", ("one", "two"), "torchscript-trace", "torch,apart", (*Flavour.fresh, "environments")),
    )
}


def write(folder: Path, flavour: Flavour) -> None:
    """Write the project."""
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "conftest.py").write_text(_CONFTEST)
    for place, name in enumerate(flavour.cases):
        (folder / f"{name}.py").write_text(_CASE.format(weight=3.0 + place))
