"""torch.jit.script."""

from __future__ import annotations

from typing import Any

import torch

from .tensor_files import HERE


def export(model: Any, args: Any, kwargs: Any, dynamic_shapes: Any, facts: dict[str, Any]) -> None:
    torch.jit.save(torch.jit.script(model), HERE / "model.pt")
