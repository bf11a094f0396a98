"""`torch.export`'s .pt2 file, by PyTorch 2.15."""

from __future__ import annotations

from ..torch_versions import V2_15 as ENVIRONMENT
from .export import export as export

NAME = "export-2.15"
SUFFIXES = (".pt2",)
HOST = ENVIRONMENT.name
