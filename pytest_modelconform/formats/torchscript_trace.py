"""TorchScript by tracing: one run of the model is recorded. Control flow is baked in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..terms.cell import TASKS as TASKS  # artifacts can be trained, too
from ..terms.cell import TRAINING
from . import properties, tensors_alone, torchscript_script
from .base import Signature, tree_signature
from .foreign import of_torchscript
from .scripted import is_script

if TYPE_CHECKING:
    import torch

    from ..workers.host.build import Built

NAME = "torchscript-trace"
SUFFIXES = (".pt", ".pth", ".ts")
foreign = of_torchscript
FRAMEWORKS = {"torch": __name__, "onnx": "pytest_modelconform.formats.frameworks.onnx_to_torchscript"}
REQUIRES = ("torch",)
REPRO = "pytest_modelconform.repro.parts.export_torchscript_trace"
MAIN = True
REPEATS = 3
_NOTE = (
    "torch.jit.trace takes tensors only, by the names of forward's plain parameters: no numbers, and nothing after `*` "
    "or in `**kwargs`. Traced through a module around the model that gives {}; do the same"
)
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

    # What is trained is traced as it is trained: models may ask whether gradients are recorded.
    state = [(value, value.detach().clone()) for value in built.model.buffers()]
    with torch.set_grad_enabled(built.task == TRAINING), properties.without_failing(built.model) as failing:
        traced, told = _traced(built)
    told = {**told, "notes": [*told.get("notes", ()), *properties.note("torch.jit.trace", failing)]}
    with torch.no_grad():
        for value, before in state:
            value.copy_(before)  # tracing runs the model, and batch norms in training mode take note of what they see
    torch.jit.save(traced, folder / "model.pt")
    return {**tree_signature("model.pt", of_script(traced)), "kept_devices": kept_devices.of_script(traced), **told}


def _traced(built: Built) -> tuple[torch.jit.ScriptModule, Signature]:
    """The trace, and what its signature says besides."""
    import torch

    args, kwargs = built.clone_inputs()
    # strict=False admits dicts as outputs. check_trace would run the model again, and that is what our cells do.
    options = {"strict": False, "check_trace": False, **built.options.get("torch.jit.trace", {})}
    if given := tensors_alone.only_by_name(built) or tensors_alone.fixed(built):
        with tensors_alone.taken(built) as call:
            traced = torch.jit.trace(call.model, call.values, **options)
        notes = [_NOTE.format(", ".join(given))]
        called = {"arguments": call.arguments, "constants": call.constants} if call.constants else {}
        return traced, {"notes": notes, **called}
    if kwargs:
        # trace takes either; keyword arguments keep their names in the schema.
        return torch.jit.trace(built.model, example_kwarg_inputs=built.by_name(args, kwargs), **options), {}
    return torch.jit.trace(built.model, args, **options), {}
