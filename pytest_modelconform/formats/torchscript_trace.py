"""TorchScript by tracing: one run of the model is recorded. Control flow is baked in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .base import Signature, tree_signature

if TYPE_CHECKING:
    from ..workers.host.build import Built

NAME = "torchscript-trace"
REQUIRES = ("torch",)
MAIN = True
REPEATS = 3


def export(built: Built, folder: Path) -> Signature:
    """`torch.jit.trace` on the exporters' input set."""
    import torch

    from ..workers.host import kept_devices
    from ..workers.host.operators import of_script

    args, kwargs = built.clone_inputs()
    # strict=False admits dicts as outputs. check_trace would run the model again, and that is what our cells do.
    options = {"strict": False, "check_trace": False}
    with torch.no_grad():
        if kwargs:
            # trace takes either; keyword arguments keep their names in the schema.
            traced = torch.jit.trace(built.model, example_kwarg_inputs=built.by_name(args, kwargs), **options)
        else:
            traced = torch.jit.trace(built.model, args, **options)
    torch.jit.save(traced, folder / "model.pt")
    return {**tree_signature("model.pt", of_script(traced)), "kept_devices": kept_devices.of_script(traced)}
