"""`torch.export`'s .pt2 file, by PyTorch 2.11."""

from __future__ import annotations

from ..environments.torch_versions import V2_11 as ENVIRONMENT
from .export import EXPORT_OPTIONS as EXPORT_OPTIONS
from .export import export as export
from .foreign import of_program

NAME = "export-2.11"
SUFFIXES = (".pt2",)
foreign = of_program
HOST = ENVIRONMENT.name
