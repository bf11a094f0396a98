"""A submodule as the layer of `torch.nn` that it is: `torch.nn.LSTM(8, 16, batch_first=True)`.

For what is right when it is exported from a program: an exporter may read a module otherwise.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_unflatten

from ..build import Built
from .source import Literals, Unwritable
from .submodules import Alone
from .trace import INPUT

_ROLES = ("x", "y", "z")


@dataclass
class Layer:
    """A layer on one input set. text: its constructor's call. The others: as in `Trace`."""

    text: str
    module: torch.nn.Module
    tensors: dict[str, torch.Tensor]
    kinds: dict[str, str] = field(init=False)
    literals: Literals = field(default_factory=Literals)
    varies: dict[str, dict[int, str]] = field(default_factory=dict)
    others: dict[str, torch.Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """All of its tensors are inputs: it makes its weights itself."""
        self.kinds = dict.fromkeys(self.tensors, INPUT)

    def run(self, tensors: Mapping[str, torch.Tensor], literals: Sequence[int]) -> list[Any]:
        """What it returns for other tensors. Raises what it does."""
        with torch.no_grad():
            returned = tree_leaves(copy.deepcopy(self.module)(*tensors.values()))
        return [leaf for leaf in returned if isinstance(leaf, torch.Tensor)]


def layer(built: Built, key: str) -> Layer:
    """A case's model as a layer. Raises Unwritable where it is none, or is called with anything but tensors."""
    args, kwargs = built.clone_inputs(key)
    module = built.model
    if isinstance(module, Alone):
        leaves = list(module.leaves)
        tensors = tree_leaves((args, kwargs))
        if len(module.places) > len(tensors):
            raise Unwritable("a tensor that is given twice")
        for place, which in module.places:
            leaves[place] = tensors[which]
        args, kwargs = tree_unflatten(leaves, module.spec)
        module = module.module
    if kwargs or not all(isinstance(value, torch.Tensor) for value in args):
        raise Unwritable("arguments that are no tensors")
    names = [_ROLES[place] if place < len(_ROLES) else f"x{place}" for place in range(len(args))]
    return Layer(constructed(module), module, dict(zip(names, args, strict=True)))


def constructed(module: torch.nn.Module) -> str:
    """The call that makes a layer like a module. Raises Unwritable where it isn't known."""
    kind = type(module)
    if getattr(torch.nn, kind.__name__, None) is not kind:
        raise Unwritable(f"a module of the class {kind.__name__}")
    if kind is torch.nn.Sequential:
        return f"torch.nn.Sequential({', '.join(constructed(child) for child in module.children())})"
    text = f"torch.nn.{module!r}"
    try:
        # What a layer says of itself are its constructor's arguments, for most layers.
        made = eval(text, {"torch": torch})
    except Exception as error:
        raise Unwritable(f"a module that doesn't say how it is made: {kind.__name__}") from error
    if _shapes(made) != _shapes(module):
        raise Unwritable(f"a module that doesn't say how it is made: {kind.__name__}")
    return text


def _shapes(module: torch.nn.Module) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in module.state_dict().items()}
