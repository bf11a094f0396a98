"""ONNX of PyTorch's core operators: GRU, LSTM, attention and the like are taken apart before they are translated.

Some runtimes know the parts, but not what `onnx` keeps whole (OpenCV's and tinygrad's, for one).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from . import onnx
from .base import Signature

if TYPE_CHECKING:
    from ..workers.host.build import Built

NAME = "onnx-decomposed"
REQUIRES = onnx.REQUIRES


def export(built: Built, folder: Path) -> Signature:
    """`torch.onnx.export` of `torch.export.export(…).run_decompositions()`."""
    import torch

    args, kwargs = built.clone_inputs()
    with torch.no_grad():
        exported = torch.export.export(built.model, args, kwargs, dynamic_shapes=built.dynamic_shapes)
        program = torch.onnx.export(exported.run_decompositions(), None, dynamo=True, verbose=False)
    assert program is not None
    return onnx.store(program, built, folder)
