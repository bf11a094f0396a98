"""A case that is an ONNX file, back in PyTorch, in the format `torchscript-trace`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..base import Signature, tree_signature
from .onnx_to_torch import converted

if TYPE_CHECKING:
    from ...workers.host.build import Built


def export(built: Built, folder: Path) -> Signature:
    """`onnx2torch.convert`, then `torch.jit.trace`."""
    import torch

    from ...workers.host.operators import of_script

    module, args = converted(built)
    with torch.no_grad():
        traced = torch.jit.trace(module, args, strict=False, check_trace=False)
    torch.jit.save(traced, folder / "model.pt")
    return tree_signature("model.pt", of_script(traced))
