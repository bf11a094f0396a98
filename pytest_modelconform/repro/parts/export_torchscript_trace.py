"""torch.jit.trace."""

from __future__ import annotations

import inspect
from typing import Any

import torch

from .tensor_files import HERE


def export(model: Any, args: Any, kwargs: Any, dynamic_shapes: Any, facts: dict[str, Any]) -> None:
    with torch.no_grad():
        if kwargs:
            named = dict(inspect.signature(model.forward).bind(*args, **kwargs).arguments)
            traced = torch.jit.trace(model, example_kwarg_inputs=named, strict=False, check_trace=False)
        else:
            traced = torch.jit.trace(model, args, strict=False, check_trace=False)
    torch.jit.save(traced, HERE / "model.pt")
