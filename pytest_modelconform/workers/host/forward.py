"""How a model is called: its forward's signature, of a ScriptModule, too."""

from __future__ import annotations

import contextlib
import inspect
from contextlib import AbstractContextManager
from typing import Any

import torch


def signature(model: torch.nn.Module) -> inspect.Signature:
    """The signature of a model's forward; a ScriptModule's is made of its schema.

    Python knows none of a file that `torch.jit.load` read. Raises TypeError for a ScriptModule that has no forward.
    """
    if not isinstance(model, torch.jit.ScriptModule):
        return inspect.signature(model.forward)
    method: Any = getattr(model, "forward", None)
    if method is None:
        raise TypeError("the TorchScript module has no method `forward`")
    # The first one is the module itself.
    return inspect.Signature([_parameter(argument) for argument in method.schema.arguments[1:]])


def _parameter(argument: Any) -> inspect.Parameter:
    return inspect.Parameter(
        argument.name,
        inspect.Parameter.KEYWORD_ONLY if argument.kwarg_only else inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=argument.default_value if argument.has_default_value() else inspect.Parameter.empty,
    )


_CONSTANTS = (bool, int, float, str, type(None))


def constants(model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, str]:
    """What a call gives forward besides tensors, as Python writes it, by parameter; defaults, too."""
    bound = signature(model).bind(*args, **kwargs)
    bound.apply_defaults()
    parameters = bound.signature.parameters
    given: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        given.update(value if parameters[name].kind is inspect.Parameter.VAR_KEYWORD else {name: value})
    return {name: repr(value) for name, value in given.items() if is_constant(value)}


def is_constant(value: Any) -> bool:
    """Whether an argument is made of numbers, texts and None alone."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(map(is_constant, value))
    if isinstance(value, dict):
        return bool(value) and all(map(is_constant, value.values()))
    return isinstance(value, _CONSTANTS)


def as_written(model: Any) -> AbstractContextManager[Any]:
    """While this is entered, a ScriptModule runs operator by operator, as it is written.

    Else TorchScript watches the first runs and optimises the later ones (products of matrices are merged, say), so
    that two runs of one model may give other bits, which is what a model that keeps state does.
    """
    if isinstance(model, torch.jit.ScriptModule):
        written: AbstractContextManager[Any] = torch.jit.optimized_execution(False)  # type: ignore[attr-defined]
        return written
    return contextlib.nullcontext()
