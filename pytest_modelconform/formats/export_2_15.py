"""`torch.export`'s .pt2 file, by PyTorch 2.15."""

from __future__ import annotations

from ..environments.torch_versions import V2_15 as ENVIRONMENT
from .export import EXPORT_OPTIONS as EXPORT_OPTIONS
from .export import export as export
from .foreign import of_program

NAME = "export-2.15"
SUFFIXES = (".pt2",)
foreign = of_program
HOST = ENVIRONMENT.name
