"""`torch.compile(mode="reduce-overhead")`: what inductor makes, recorded in CUDA graphs and replayed."""

from __future__ import annotations

from . import compiled
from .compiled import FAMILY as FAMILY
from .compiled import FORMATS as FORMATS
from .compiled import OPERATORS as OPERATORS
from .compiled import REQUIRES as REQUIRES
from .compiled import command as command
from .compiled import unavailable as unavailable

NAME = "torch-compile-cudagraphs"
DEVICES = ("cuda",)
PRECISIONS = ("full", "fast")
PACKAGE = "torch"
REPRO = "pytest_modelconform.repro.parts.torch_compile_cudagraphs"
load_request = compiled.load_request_with({"mode": "reduce-overhead"})
