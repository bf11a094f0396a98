"""torch.jit.script."""

from __future__ import annotations

from typing import Any

import torch

from .failing_properties import without_failing_properties
from .tensor_files import HERE


def export(model: Any, args: Any, kwargs: Any, dynamic_shapes: Any, facts: dict[str, Any]) -> None:
    without_failing_properties(model)
    torch.jit.save(torch.jit.script(model), HERE / "model.pt")
