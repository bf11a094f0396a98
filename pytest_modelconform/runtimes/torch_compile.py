"""`torch.compile` with inductor, as most use it: what it can't capture runs in eager PyTorch."""

from __future__ import annotations

from . import compiled
from .compiled import FAMILY as FAMILY
from .compiled import FORMATS as FORMATS
from .compiled import OPERATORS as OPERATORS
from .compiled import REQUIRES as REQUIRES
from .compiled import command as command
from .compiled import unavailable as unavailable

NAME = "torch-compile"
DEVICES = ("cpu", "cuda")
PRECISIONS = ("full", "fast")
PACKAGE = "torch"
REPRO = "pytest_modelconform.repro.parts.torch_compile"
load_request = compiled.load_request_with({})
