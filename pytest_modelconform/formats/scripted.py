"""A ScriptModule in the place of a model, for exporters that take modules written in Python only.

TorchScript is the artifact of such a case as it is. For `torch.export` PyTorch has a converter of its own, which wants
a call of tensors alone, by position; ONNX's older exporter wants that, too. A trace of a call gives them one: what it
calls that is TorchScript stays as it is in it, control flow included.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from ..workers.host.build import Built


def is_script(built: Built) -> bool:
    """Whether a case's model is TorchScript already."""
    import torch

    return isinstance(built.model, torch.jit.ScriptModule)


def flat_call(built: Built) -> tuple[torch.jit.ScriptModule, tuple[torch.Tensor, ...]]:
    """The call with the exporters' input set as a ScriptModule of the call's tensors alone, and these tensors.

    It returns the result's tensors, in the order of the flattened tree. Other arguments are constants in it.
    """
    import torch
    from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

    leaves, spec = tree_flatten(built.clone_inputs())

    class FlatCall(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = built.model

        def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            left = iter(tensors)
            arguments = [next(left) if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
            args, kwargs = tree_unflatten(arguments, spec)
            returned = tree_leaves(self.model(*args, **kwargs))
            return tuple(leaf for leaf in returned if isinstance(leaf, torch.Tensor))

    tensors = tuple(leaf for leaf in leaves if isinstance(leaf, torch.Tensor))
    with torch.no_grad():
        traced = torch.jit.trace(FlatCall().train(built.model.training), tensors, strict=False, check_trace=False)
    return traced, tensors


def module_for_export(built: Built) -> torch.nn.Module:
    """What `torch.export` is given: the model, or its conversion where it is TorchScript, called in the same way.

    Raises whatever PyTorch's converter raises.
    """
    return _converted(built) if is_script(built) else built.model


def _converted(built: Built) -> torch.nn.Module:
    import torch
    from torch._export.converter import TS2EPConverter
    from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

    from ..workers.host.forward import signature

    args, kwargs = built.clone_inputs()
    with torch.no_grad():
        results, spec = tree_flatten(built.model(*args, **kwargs))
    call, tensors = flat_call(built)
    if not built.model.training:
        # Else the converter meets a branch at every batch norm and dropout, for `training`, and gives up.
        call = torch.jit.freeze(call.eval(), optimize_numerics=False)
    with torch.no_grad():
        program = TS2EPConverter(call, tensors).convert().module()

    class Converted(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.program = program

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
            tensors = iter(tree_leaves(self.program(*given)))
            returned = [next(tensors) if isinstance(result, torch.Tensor) else result for result in results]
            return tree_unflatten(returned, spec)

    # dynamic_shapes and the graph's inputs go by these names.
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    parameters = [own, *signature(built.model).parameters.values()]
    Converted.forward.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return Converted()
