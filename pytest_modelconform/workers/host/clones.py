"""Copies of models, and of what they are called with."""

from __future__ import annotations

import copy
from typing import Any

import torch


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
    """A deep copy of a model that may never have run.

    deepcopy refuses tensors that were computed from parameters, as `torch.nn.utils.weight_norm` keeps one until the
    first run under no_grad makes it anew. The copy's are of no graph.
    """
    computed = [
        value
        for module in model.modules()
        for value in vars(module).values()
        if isinstance(value, torch.Tensor) and not value.is_leaf
    ]
    return copy.deepcopy(model, {id(value): value.detach().clone() for value in computed})
