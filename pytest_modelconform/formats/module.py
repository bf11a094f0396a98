"""The model itself: nothing is stored, and runtimes import the case and build the model as the case host does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .base import Signature, tree_signature

if TYPE_CHECKING:
    from ..workers.host.build import Built

NAME = "module"
ANY_ARGUMENTS = True
REQUIRES = ("torch",)
# No runtime of the default ones runs it: those that do bring it.
MAIN = True
IN_PLACE = True
REPRO = "pytest_modelconform.repro.parts.export_module"
# What is compiled is so in the first run, and CUDA graphs are recorded in the second.
REPEATS = 3
# It goes where it runs.
DEVICE_BOUND = True


def memory(size: int) -> float:
    """Nothing beside the model."""
    return 0.0


def export(built: Built, folder: Path) -> Signature:
    """How the model is called, and the bytes of memory that it takes."""
    from ..workers.host.large import size_of

    return {**tree_signature("signature.json", (), built.input_leaves), "bytes": size_of(built.model)}
