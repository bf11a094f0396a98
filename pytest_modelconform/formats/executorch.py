"""ExecuTorch's .pte, with what XNNPACK can do handed to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import program
from .base import Signature, flat_signature
from .foreign import of_executorch
from .program import call_of, exported_with, input_names, with_bounds

if TYPE_CHECKING:
    from ..workers.host.build import Built

NAME = "executorch"
SUFFIXES = (".pte",)
foreign = of_executorch
REQUIRES = ("torch", "executorch")
QUANTISED = True
REPRO = "pytest_modelconform.repro.parts.export_executorch"
# Its import registers operators, and types with pytree, and takes seconds.
HOST = "executorch"
_LOWER = "executorch.exir.to_edge_transform_and_lower"
_FINISH = "executorch.exir.EdgeProgramManager.to_executorch"
EXPORT_OPTIONS = {**program.EXPORT_OPTIONS, _LOWER: (), _FINISH: ()}


def export(built: Built, folder: Path) -> Signature:
    """`to_edge_transform_and_lower` with the XNNPACK partitioner."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner

    return lowered(built, folder, [XnnpackPartitioner()])


def lowered(built: Built, folder: Path, partitioners: Sequence[Any]) -> Signature:
    """Store the model as `model.pte`, with these partitioners; what they leave runs in portable kernels.

    ExecuTorch plans its memory when it exports: every dynamic dimension needs an upper bound. (For one without, 1.5.1
    takes the exported length, and refuses longer ones.)
    """
    from executorch.exir import to_edge_transform_and_lower

    program = exported_with(built, with_bounds(built))
    # Asked before it is lowered, which works on the program itself.
    call, names = call_of(program), input_names(program)
    given = {"partitioner": list(partitioners), **built.options.get(_LOWER, {})}
    manager = to_edge_transform_and_lower(program, **given).to_executorch(**built.options.get(_FINISH, {}))
    with (folder / "model.pte").open("wb") as file:
        manager.write_to_file(file)
    outputs = [f"output.{i}" for i in call["returns"]]
    return flat_signature("model.pte", built, names, outputs, names) | call
