"""litert_torch.convert."""

from __future__ import annotations

from typing import Any

import litert_torch
import torch

from .tensor_files import HERE


def export(model: Any, args: Any, kwargs: Any, dynamic_shapes: Any, facts: dict[str, Any]) -> None:
    with torch.no_grad():
        # What it fails at with dynamic shapes it may do with static ones: those are what was tried last then.
        shapes = dynamic_shapes if facts["dynamic"] else None
        converted = litert_torch.convert(model, args, kwargs, dynamic_shapes=shapes)
    converted.export(str(HERE / "model.tflite"))
