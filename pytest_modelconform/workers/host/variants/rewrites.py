"""Ways to change what a model computes without touching its code: numbers rounded, operators' arguments replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten_with_path, tree_unflatten

Round = Callable[[torch.Tensor], torch.Tensor]
Call = tuple[tuple[Any, ...], dict[str, Any]]

# Operators that multiply matrices, and which of their arguments are factors.
FACTORS = {
    "aten::mm": (0, 1),
    "aten::bmm": (0, 1),
    "aten::mv": (0, 1),
    "aten::dot": (0, 1),
    "aten::linear": (0, 1),
    "aten::addmm": (1, 2),
    "aten::addmv": (1, 2),
    "aten::baddbmm": (1, 2),
    "aten::addbmm": (1, 2),
    "aten::convolution": (0, 1),
    "aten::mkldnn_rnn_layer": (0, 1, 2),
    "aten::_scaled_dot_product_flash_attention_for_cpu": (0, 1, 2),
}
# What modules call their epsilon.
EPSILONS = ("eps", "epsilon", "variance_epsilon", "layer_norm_eps")


class Unchanged(Exception):
    """There is nothing in this model, or in these inputs, that a variant changes."""


class Rewrite(TorchDispatchMode):
    """Runs each operator on the arguments that `change(operator, args, kwargs)` returns; None: as they are.

    `changed` counts the operators that had others.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # As for double.Float64: True imports the compiler.
        return False

    def __init__(self, change: Callable[[Any, tuple[Any, ...], dict[str, Any]], Call | None]) -> None:
        super().__init__()
        self.change = change
        self.changed = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Called for each operator."""
        found = self.change(func, tuple(args), kwargs or {})
        if found is not None:
            self.changed += 1
            args, kwargs = found
        return func(*args, **(kwargs or {}))


def factors(rounded: Round) -> Rewrite:
    """Rounds the factors of every matrix product and convolution, not what is added to them."""

    def change(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
        positions = FACTORS.get(func._schema.name, ())
        if not positions:
            return None
        new = [rounded(value) if i in positions else value for i, value in enumerate(args)]
        return tuple(new), kwargs

    return Rewrite(change)


def argument(name: str, new: Callable[[Any], Any], operators: str = "") -> Rewrite:
    """Gives every operator that has an argument of this name another value.

    operators: part of their names, where not all are meant.
    """

    def change(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
        if operators not in func._schema.name:
            return None
        for position, declared in enumerate(func._schema.arguments):
            if declared.name != name:
                continue
            given = args[position] if position < len(args) else kwargs.get(name, declared.default_value)
            value = new(given)
            if value == given:
                return None
            if position < len(args):
                return (*args[:position], value, *args[position + 1 :]), kwargs
            return args, {**kwargs, name: value}
        return None

    return Rewrite(change)


# -- numbers -----------------------------------------------------------------------------------------------------------


def to_dtype(dtype: torch.dtype) -> Round:
    """Rounds floating-point tensors to a narrower dtype and back."""

    def rounded(value: torch.Tensor) -> torch.Tensor:
        return value.to(dtype).to(value.dtype) if _is_float(value) else value

    return rounded


def to_tf32(value: torch.Tensor) -> torch.Tensor:
    """Rounds float32 to TF32: 10 explicit bits of the mantissa, to nearest, ties to even."""
    if not _is_float(value) or value.dtype != torch.float32:
        return value
    bits = value.contiguous().view(torch.int32)
    bits = (bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFF
    return torch.where(torch.isfinite(value), bits.view(torch.float32), value)


def to_int8(value: torch.Tensor) -> torch.Tensor:
    """Rounds to 255 levels, symmetric about 0, for each index of the first axis of a matrix or more."""
    if not _is_float(value) or value.dim() < 2 or not value.numel():
        return value
    scale = value.abs().amax(tuple(range(1, value.dim())), keepdim=True) / 127
    return torch.where(scale > 0, (value / scale).round() * scale, value)


def _is_float(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def round_weights(model: torch.nn.Module, rounded: Round) -> torch.nn.Module:
    """Round all parameters and buffers of a model, in place, and return it. Raises Unchanged."""
    changed = False
    with torch.no_grad():
        for value in [*model.parameters(), *model.buffers()]:
            new = rounded(value)
            changed = changed or not torch.equal(new, value)
            value.copy_(new)
    if not changed:
        raise Unchanged
    return model


def change_epsilons(model: torch.nn.Module, new: Callable[[float], float]) -> set[float]:
    """Give the modules of a model other epsilons, in place. Returns the new values of those that were changed."""
    changed = set()
    for module in model.modules():
        for name in EPSILONS:
            value = getattr(module, name, None)
            if isinstance(value, float) and 0.0 < value < 0.1 and new(value) != value:
                setattr(module, name, new(value))
                changed.add(new(value))
    return changed


# -- inputs ------------------------------------------------------------------------------------------------------------


def tensors_of(args: Any, kwargs: Any) -> dict[str, torch.Tensor]:
    """The tensors of a call by path (`/args/0`, `/kwargs/mask`)."""
    return {path: leaf for path, leaf in _leaves(args, kwargs) if isinstance(leaf, torch.Tensor)}


def with_tensors(args: Any, kwargs: Any, new: dict[str, torch.Tensor]) -> tuple[Any, Any]:
    """A call with some of its tensors replaced."""
    spec = tree_flatten_with_path((args, kwargs))[1]
    args, kwargs = tree_unflatten([new.get(path, leaf) for path, leaf in _leaves(args, kwargs)], spec)
    return args, kwargs


def _leaves(args: Any, kwargs: Any) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for kind, value in (("args", args), ("kwargs", kwargs)):
        for keys, leaf in tree_flatten_with_path(value)[0]:
            names = [str(getattr(key, "idx", getattr(key, "key", getattr(key, "name", key)))) for key in keys]
            found.append(("/".join(["", kind, *names]), leaf))
    return found
