"""TorchScript by tracing: one run of the model is recorded. Control flow is baked in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..terms.cell import TASKS as TASKS  # artifacts can be trained, too
from ..terms.cell import TRAINING
from . import torchscript_script
from .base import Signature, tree_signature
from .foreign import of_torchscript
from .scripted import is_script

if TYPE_CHECKING:
    from ..workers.host.build import Built

NAME = "torchscript-trace"
SUFFIXES = (".pt", ".pth", ".ts")
foreign = of_torchscript
FRAMEWORKS = {"torch": __name__, "onnx": "pytest_modelconform.formats.frameworks.onnx_to_torchscript"}
REQUIRES = ("torch",)
REPRO = "pytest_modelconform.repro.parts.export_torchscript_trace"
MAIN = True
REPEATS = 3
EXPORT_OPTIONS = {"torch.jit.trace": ("func", "example_inputs", "example_kwarg_inputs", "optimize")}


def memory(size: int) -> float:
    """Bytes of memory that the exporter takes beside a model of `size` bytes."""
    return 0.3 * size


def export(built: Built, folder: Path) -> Signature:
    """`torch.jit.trace` on the exporters' input set. A model that is TorchScript is stored as it is."""
    if is_script(built):
        return torchscript_script.export(built, folder)
    import torch

    from ..workers.host import kept_devices
    from ..workers.host.operators import of_script

    args, kwargs = built.clone_inputs()
    # strict=False admits dicts as outputs. check_trace would run the model again, and that is what our cells do.
    options = {"strict": False, "check_trace": False, **built.options.get("torch.jit.trace", {})}
    # What is trained is traced as it is trained: models may ask whether gradients are recorded.
    state = [(value, value.detach().clone()) for value in built.model.buffers()]
    with torch.set_grad_enabled(built.task == TRAINING):
        if kwargs:
            # trace takes either; keyword arguments keep their names in the schema.
            traced = torch.jit.trace(built.model, example_kwarg_inputs=built.by_name(args, kwargs), **options)
        else:
            traced = torch.jit.trace(built.model, args, **options)
    with torch.no_grad():
        for value, before in state:
            value.copy_(before)  # tracing runs the model, and batch norms in training mode take note of what they see
    torch.jit.save(traced, folder / "model.pt")
    return {**tree_signature("model.pt", of_script(traced)), "kept_devices": kept_devices.of_script(traced)}
