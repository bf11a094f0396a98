"""PyTorch 2.11 on what today's has written."""

from __future__ import annotations

from functools import partial

from ..environments.torch_versions import OURS
from ..environments.torch_versions import V2_11 as ENVIRONMENT
from . import torch_versions

NAME = "torch-2.11"
FAMILY = "torch"
FORMATS = OURS
# Libraries are compiled for the version that exports.
OPERATORS = ("modules",)
command = partial(torch_versions.command, ENVIRONMENT)
