"""What a case's `model` returned: a module that runs in the case's mode, or what to return instead."""

from __future__ import annotations

import types
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from ..loop import WorkerError


def checked(name: str, returned: Any) -> torch.nn.Module:
    """The module that case `name` returned. Raises WorkerError for anything else."""
    if isinstance(returned, torch.nn.Module):
        return returned
    said = f"the function returned {_kind(returned)}, not an nn.Module"
    raise WorkerError(f"case {name!r}, field 'model': {said}{_instead(returned)}", "build")


def _kind(returned: Any) -> str:
    if isinstance(returned, type):
        return f"the class {returned.__name__}"
    name = type(returned).__name__
    return f"{'an' if name[0] in 'aeioAEIO' else 'a'} {name}"


def _instead(returned: Any) -> str:
    if isinstance(returned, torch.export.ExportedProgram):
        return ": return its module, `program.module()`"
    if isinstance(returned, type) and issubclass(returned, torch.nn.Module):
        return f": call it, `{returned.__name__}(…)`"
    if isinstance(returned, Mapping):
        return ": if these are weights, build the model and return it after `model.load_state_dict(…)`"
    if isinstance(returned, (types.FunctionType, torch.jit.ScriptFunction)):
        return ": call it in the forward of a module"
    return ""


def has_lazy_weights(model: torch.nn.Module) -> bool:
    """Whether a model has weights whose sizes its first call decides (nn.LazyLinear)."""
    return any(is_lazy(value) for value in (*model.parameters(), *model.buffers()))


def settle(model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Call a model once, so that its lazy modules make their weights; nothing else changes."""
    model.eval()
    with torch.no_grad():
        model(*args, **kwargs)


def set_mode(name: str, model: torch.nn.Module, training: bool) -> None:
    """Put a model into training or evaluation mode. Raises WorkerError for one that has no training mode."""
    programs = exported_programs(model)
    if programs and training:
        fault = "an exported program keeps the mode that it was exported in, and has no other"
        raise WorkerError(f"case {name!r}, field 'mode': {fault}. Leave out `mode`", "build")
    for program in programs:
        vars(program)["train"] = partial(_in_evaluation, program)
        vars(program).pop("eval", None)  # it calls `train`
    model.train(training)


def exported_programs(model: torch.nn.Module) -> list[torch.nn.Module]:
    """The modules of exported programs in a model, or the model itself: their `train` is their own, and raises."""
    return [
        module for module in model.modules() if isinstance(module, torch.fx.GraphModule) and "train" in vars(module)
    ]


def _in_evaluation(program: torch.nn.Module, mode: bool = True) -> torch.nn.Module:
    """In place of an exported program's own `train`: what its operators do was decided when it was exported."""
    if mode:
        raise NotImplementedError("an exported program keeps the mode that it was exported in")
    for module in program.modules():
        module.training = False
    return program
