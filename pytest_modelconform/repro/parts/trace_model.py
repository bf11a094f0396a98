"""torch.jit.trace, by place or by name."""

from __future__ import annotations

import inspect
from typing import Any

import torch

from .around_model import around, is_constant, tensors_of
from .failing_properties import without_failing_properties


def traced(model: Any, args: Any, kwargs: Any) -> Any:
    without_failing_properties(model)
    parameters = inspect.signature(model.forward).parameters
    plain = [name for name, parameter in parameters.items() if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    numbers = any(is_constant(value) for value in (*args, *kwargs.values()))
    with torch.no_grad():
        # It takes tensors only, by the names of plain parameters.
        if numbers or any(name not in plain for name in kwargs):
            model = around(model, args, kwargs)
            return torch.jit.trace(model, tensors_of(args, kwargs), strict=False, check_trace=False)
        if kwargs:
            named = dict(inspect.signature(model.forward).bind(*args, **kwargs).arguments)
            return torch.jit.trace(model, example_kwarg_inputs=named, strict=False, check_trace=False)
        return torch.jit.trace(model, args, strict=False, check_trace=False)
