"""torch.jit.trace."""

from __future__ import annotations

from typing import Any

import torch

from .tensor_files import HERE
from .trace_model import traced


def export(model: Any, args: Any, kwargs: Any, dynamic_shapes: Any, facts: dict[str, Any]) -> None:
    torch.jit.save(traced(model, args, kwargs), HERE / "model.pt")
