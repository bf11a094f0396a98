"""ExecuTorch's .pte, in its portable kernels alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .base import Signature
from .executorch import EXPORT_OPTIONS as EXPORT_OPTIONS
from .executorch import HOST as HOST
from .executorch import REQUIRES as REQUIRES
from .executorch import lowered
from .foreign import of_executorch

if TYPE_CHECKING:
    from ..workers.host.build import Built

NAME = "executorch-portable"
SUFFIXES = (".pte",)
foreign = of_executorch
REPRO = "pytest_modelconform.repro.parts.export_executorch_portable"


def export(built: Built, folder: Path) -> Signature:
    """`to_edge_transform_and_lower` without a partitioner."""
    return lowered(built, folder, [])
