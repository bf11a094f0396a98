"""A part's graph as `torch.jit.trace` has to run it: so that sizes are recorded, and not the numbers that they are."""

from __future__ import annotations

import functools
import inspect
import operator
from typing import Any

import torch
from torch.fx import GraphModule, Interpreter, Node
from torch.utils._pytree import tree_leaves

# Checks of sizes and of what a program was captured with: no trace has them.
_CHECKS = ("_assert_scalar", "_assert_tensor_metadata", "sym_constrain_range", "sym_constrain_range_for_size")
# Operators whose function or method in Python has another name.
_NAMES = {"split_with_sizes": "split", "_unsafe_view": "view"}


def followed(module: torch.nn.Module) -> torch.nn.Module:
    """The module, whose sizes stay sizes where it is traced, if it is a graph. Not its copies: copy before.

    An operator that is called as `torch.ops.aten.view.default` takes a traced size for a number. Python's own methods
    record it.
    """
    if not isinstance(module, GraphModule):
        return module
    kind: Any = type(module)  # each GraphModule has a class of its own
    forward = kind.forward
    signature = inspect.signature(forward)

    @functools.wraps(forward)
    def recorded(self: GraphModule, *args: Any, **kwargs: Any) -> Any:
        if not torch.jit.is_tracing():  # type: ignore[attr-defined]
            return forward(self, *args, **kwargs)
        return _ByMethods(self).run(*signature.bind(self, *args, **kwargs).args[1:])

    kind.forward = recorded
    return module


class _ByMethods(Interpreter):
    """Calls what takes sizes as a user's code does."""

    def run_node(self, n: Node) -> Any:
        if n.op != "call_function":
            return super().run_node(n)
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        target: Any = n.target
        if target is torch.sym_sum:
            return functools.reduce(operator.add, args[0])
        if not isinstance(target, torch._ops.OpOverload):
            return super().run_node(n)
        name = target._schema.name.partition("::")[2]
        if name in _CHECKS:
            return None
        if name == "sym_size":
            return args[0].size(*args[1:])
        if name == "sym_numel":
            return args[0].numel()
        if target.namespace != "aten" or not _takes_sizes(target, args, kwargs):
            return super().run_node(n)
        return _called(name, args, kwargs)


def _takes_sizes(target: Any, args: Any, kwargs: Any) -> bool:
    """Whether an argument that is no tensor is a size that was traced."""
    given = [*zip(target._schema.arguments, args, strict=False)]
    given += [(argument, kwargs[argument.name]) for argument in target._schema.arguments if argument.name in kwargs]
    return any(
        isinstance(leaf, torch.Tensor)
        for argument, value in given
        if "Tensor" not in str(argument.type)
        for leaf in tree_leaves(value)
    )


def _called(name: str, args: Any, kwargs: Any) -> Any:
    if name == "slice":
        given: list[Any] = [*args, *[0, None, None, 1][len(args) - 1 :]]
        value, axis, *rest = given
        end = None if isinstance(rest[1], int) and rest[1] >= 2**62 else rest[1]
        return value[(*[slice(None)] * (axis % value.dim()), slice(rest[0], end, rest[2]))]
    name = _NAMES.get(name, name)
    if args and isinstance(args[0], torch.Tensor) and hasattr(torch.Tensor, name):
        return getattr(args[0], name)(*args[1:], **kwargs)
    return getattr(torch, name)(*args, **kwargs)
