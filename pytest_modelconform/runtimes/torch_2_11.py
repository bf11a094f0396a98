"""PyTorch 2.11 on what today's has written."""

from __future__ import annotations

from functools import partial

from .. import torch_versions
from ..torch_versions import V2_11 as ENVIRONMENT

NAME = "torch-2.11"
FORMATS = torch_versions.OURS
command = partial(torch_versions.command, ENVIRONMENT)
