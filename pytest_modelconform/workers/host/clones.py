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
    """A deep copy of a model that may never have run, or whose weights are of a class of their own.

    deepcopy refuses tensors that were computed from parameters, as `torch.nn.utils.weight_norm` keeps one until the
    first run under no_grad makes it anew: the copy's are of no graph. And it refuses weights whose clones are of
    another class (optimum-quanto's): these are made of clones of their parts.
    """
    memo: dict[int, Any] = {
        id(value): value.detach().clone()
        for module in model.modules()
        for value in vars(module).values()
        if isinstance(value, torch.Tensor) and not value.is_leaf
    }
    for value in model.parameters():
        if not is_dense(value):
            try:
                copy.deepcopy(value)
            except RuntimeError:
                memo[id(value)] = torch.nn.Parameter(_rebuilt(value.detach()), requires_grad=value.requires_grad)
    # deepcopy keeps alive what it has copied, in a list under the memo's own id.
    return copy.deepcopy(model, memo)


def _rebuilt(value: Any) -> Any:
    """A tensor made of clones of its parts."""
    if not is_traceable_wrapper_subclass(value):
        return value.clone(memory_format=torch.preserve_format)
    names, context = value.__tensor_flatten__()
    inside = {name: _rebuilt(getattr(value, name)) for name in names}
    return type(value).__tensor_unflatten__(inside, context, value.size(), value.stride())
