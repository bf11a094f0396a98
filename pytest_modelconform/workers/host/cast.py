"""A model and its inputs in another dtype, and which operator fails where a model doesn't run in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

# torch.complex32 is left out: hardly an operator knows it, so that models with it would fail for that alone.
COMPLEX = {"float32": torch.complex64, "float64": torch.complex128}


def cast(value: Any, dtype: str) -> Any:
    """A nest with its floating tensors in `dtype`, and its complex ones in the complex dtype of that width, if any."""

    def one(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        if leaf.is_complex():
            return leaf.to(COMPLEX.get(dtype, leaf.dtype))
        return leaf.to(getattr(torch, dtype)) if leaf.is_floating_point() else leaf

    return tree_map(one, value)


def cast_model(model: torch.nn.Module, dtype: str) -> None:
    """Cast parameters and buffers in place."""
    # Not `.to(dtype)`, which makes complex parameters real.
    model._apply(lambda tensor: cast(tensor, dtype))


def notes(model: torch.nn.Module, inputs: Any, dtype: str) -> list[str]:
    """What did not become `dtype`, in words."""
    leaves = [*model.parameters(), *model.buffers(), *tree_leaves(inputs)]
    kept = {leaf.dtype for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.is_complex()}
    if dtype in COMPLEX or not kept:
        return []
    names = " and ".join(sorted(str(kind).removeprefix("torch.") for kind in kept))
    return [f"{names} stays: PyTorch has no complex numbers of two {dtype}"]


class _FailingOperator(TorchDispatchMode):
    """Notes the innermost operator that raises."""

    def __init__(self) -> None:
        super().__init__()
        self.name = ""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # As in double.py: True imports the compiler.
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Called for each operator."""
        try:
            return func(*args, **(kwargs or {}))
        except Exception:
            self.name = self.name or str(func)
            raise


def failing_operator(call: Callable[[], Any]) -> str:
    """The name of the operator in which `call` fails, as `aten.mm.default`; "" if it fails elsewhere, or not at all."""
    with _FailingOperator() as mode:
        try:
            call()
        except Exception:
            return mode.name
    return ""
