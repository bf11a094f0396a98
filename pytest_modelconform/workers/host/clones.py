"""Copies of models, and of what they are called with."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from .dense import is_dense


def clone(value: Any) -> Any:
    """A deep copy of a nest with cloned tensors."""
    if isinstance(value, torch.Tensor):
        return value.clone(memory_format=torch.preserve_format)
    if isinstance(value, dict):
        return type(value)((k, clone(v)) for k, v in value.items())
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(clone(item) for item in value))
    if isinstance(value, (list, tuple)):
        return type(value)(clone(item) for item in value)
    return copy.deepcopy(value)


def copied(model: torch.nn.Module) -> torch.nn.Module:
    """A deep copy of a model, also where the class of its weights has none (optimum-quanto's clones are dense)."""
    memo: dict[int, Any] = {}
    for value in model.parameters():
        if not is_dense(value):
            try:
                copy.deepcopy(value)
            except RuntimeError:
                memo[id(value)] = torch.nn.Parameter(_rebuilt(value.detach()), requires_grad=value.requires_grad)
    return copy.deepcopy(model, memo)


def _rebuilt(value: Any) -> Any:
    """A tensor made of clones of its parts."""
    if not is_traceable_wrapper_subclass(value):
        return value.clone(memory_format=torch.preserve_format)
    names, context = value.__tensor_flatten__()
    inside = {name: _rebuilt(getattr(value, name)) for name in names}
    return type(value).__tensor_unflatten__(inside, context, value.size(), value.stride())
