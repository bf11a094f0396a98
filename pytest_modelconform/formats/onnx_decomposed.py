"""ONNX of PyTorch's core operators: GRU, LSTM, attention and the like are taken apart before they are translated.

Some runtimes know the parts, but not what `onnx` keeps whole (OpenCV's and tinygrad's, for one).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from . import onnx, translated
from .base import Signature
from .foreign import of_onnx
from .program import EXPORT_OPTIONS, exported

if TYPE_CHECKING:
    from ..workers.host.build import Built

NAME = "onnx-decomposed"
SUFFIXES = (".onnx",)
RECORDS_NAMES = True
memory = onnx.memory
foreign = of_onnx
REQUIRES = onnx.REQUIRES
REPRO = "pytest_modelconform.repro.parts.export_onnx_decomposed"
_DECOMPOSE = "torch.export.ExportedProgram.run_decompositions"
# The shapes are those of the program.
EXPORT_OPTIONS = {
    **EXPORT_OPTIONS,
    _DECOMPOSE: (),
    onnx.FUNCTION: (*onnx.EXPORT_OPTIONS[onnx.FUNCTION], "dynamic_axes"),
}


def export(built: Built, folder: Path) -> Signature:
    """`torch.onnx.export` of `torch.export.export(…).run_decompositions()`."""
    import torch

    decomposed = exported(built).run_decompositions(**built.options.get(_DECOMPOSE, {}))
    with torch.no_grad():
        given = {"verbose": False, **translated.options(built), **onnx.at_export(built)}
        program = torch.onnx.export(decomposed, (), dynamo=True, **given)
    assert program is not None
    return onnx.store(program, built, folder)
