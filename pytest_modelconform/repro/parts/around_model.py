"""A module around a model that takes the tensors of a call, and gives the model the rest."""

from __future__ import annotations

import inspect
from typing import Any

import torch


def is_constant(value: Any) -> bool:
    """Whether an argument is made of numbers, texts and None alone."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(map(is_constant, value))
    if isinstance(value, dict):
        return bool(value) and all(map(is_constant, value.values()))
    return isinstance(value, (bool, int, float, str, type(None)))


def tensors_of(args: Any, kwargs: Any) -> tuple[Any, ...]:
    """What of a call's arguments has tensors, in order."""
    return tuple(value for value in (*args, *kwargs.values()) if not is_constant(value))


def around(model: Any, args: Any, kwargs: Any) -> Any:
    """The module; its forward calls the tensors as the model does."""

    class Around(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model
            self.training = model.training

        def forward(self, *values: Any, **named: Any) -> Any:
            given = inspect.signature(self.forward).bind(*values, **named).arguments
            left = iter(given.values())
            by_place = [value if is_constant(value) else next(left) for value in args]
            by_name = {name: value if is_constant(value) else next(left) for name, value in kwargs.items()}
            return self.model(*by_place, **by_name)

    plain = [
        name
        for name, parameter in inspect.signature(model.forward).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    places = [plain[i] if i < len(plain) else f"input_{i}" for i, value in enumerate(args)]
    given = {**dict(zip(places, args, strict=True)), **kwargs}
    names = ["self", *(name for name, value in given.items() if not is_constant(value))]
    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    Around.forward.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return Around()
