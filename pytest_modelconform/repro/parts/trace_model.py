"""torch.jit.trace, by place or by name."""

from __future__ import annotations

import inspect
from typing import Any

import torch


def traced(model: Any, args: Any, kwargs: Any) -> Any:
    with torch.no_grad():
        if kwargs:
            named = dict(inspect.signature(model.forward).bind(*args, **kwargs).arguments)
            return torch.jit.trace(model, example_kwarg_inputs=named, strict=False, check_trace=False)
        return torch.jit.trace(model, args, strict=False, check_trace=False)
