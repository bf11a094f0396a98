"""TorchScript by tracing, in PyTorch 2.15."""

from __future__ import annotations

from ..environments.torch_versions import V2_15 as ENVIRONMENT
from .foreign import of_torchscript
from .torchscript_trace import EXPORT_OPTIONS as EXPORT_OPTIONS
from .torchscript_trace import export as export

NAME = "torchscript-trace-2.15"
SUFFIXES = (".pt", ".pth", ".ts")
foreign = of_torchscript
HOST = ENVIRONMENT.name
REPEATS = 3
