"""`torch.export`: the .pt2 file of an ExportedProgram."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .base import Signature, tree_signature
from .foreign import of_program
from .program import EXPORT_OPTIONS as EXPORT_OPTIONS
from .program import exported

if TYPE_CHECKING:
    from ..workers.host.build import Built

NAME = "export"
SUFFIXES = (".pt2",)
foreign = of_program
REQUIRES = ("torch",)
QUANTISED = True
REPRO = "pytest_modelconform.repro.parts.export_export"
MAIN = True
FRAMEWORKS = {"torch": __name__, "onnx": "pytest_modelconform.formats.frameworks.onnx_to_torch"}


def memory(size: int) -> float:
    """Bytes of memory that the exporter takes beside a model of `size` bytes."""
    return 0.4 * size


def export(built: Built, folder: Path) -> Signature:
    """`torch.export.export` and `torch.export.save`."""
    import torch

    from ..workers.host import containers
    from ..workers.host.operators import of_program

    program = exported(built)
    torch.export.save(program, folder / "model.pt2")
    return {**tree_signature("model.pt2", of_program(program), built.input_leaves), **containers.signed(program)}
