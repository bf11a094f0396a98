"""TorchScript by scripting: the model's source is compiled. Control flow stays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..terms.cell import TASKS as TASKS  # artifacts can be trained, too
from . import properties
from .base import Signature, tree_signature
from .foreign import of_torchscript

if TYPE_CHECKING:
    from ..workers.host.build import Built

NAME = "torchscript-script"
ANY_ARGUMENTS = True
SUFFIXES = (".pt", ".pth", ".ts")
foreign = of_torchscript
REQUIRES = ("torch",)
REPRO = "pytest_modelconform.repro.parts.export_torchscript_script"
MAIN = True
REPEATS = 3
EXPORT_OPTIONS = {"torch.jit.script": ("obj", "optimize")}


def memory(size: int) -> float:
    """Bytes of memory that the exporter takes beside a model of `size` bytes."""
    return 0.3 * size


def export(built: Built, folder: Path) -> Signature:
    """`torch.jit.script`, which leaves TorchScript as it is."""
    import torch

    from ..workers.host import kept_devices
    from ..workers.host.operators import of_script

    with properties.without_failing(built.model) as failing:
        scripted = torch.jit.script(built.model, **built.options.get("torch.jit.script", {}))
    torch.jit.save(scripted, folder / "model.pt")
    told = {"kept_devices": kept_devices.of_script(scripted), "notes": properties.note("torch.jit.script", failing)}
    return {**tree_signature("model.pt", of_script(scripted)), **told}
