"""Copies of a large model that share its weights: whole ones in float64 are twice the model each, and fill a machine.

What is shared is never written to. A copy is widened as it runs: each module's own weights are float64 while its
forward runs, and what others read of them is widened by `Float64`, operator by operator.
"""

from __future__ import annotations

import copy
import ctypes
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from pytest_modelconform.cache.reservations import Reservations
from pytest_modelconform.terms import memory

from ..loop import WorkerError
from . import dense

if TYPE_CHECKING:
    from .build import Built

# Bytes of parameters from which a model is large. Small ones are copied, which is faster.
LARGE = int(os.environ.get("MODELCONFORM_LARGE_MODEL") or 2**29)
# Bytes from which a parameter of a large model is shared.
_SHARED = 2**20
_M_MMAP_THRESHOLD = -3  # malloc.h


def size_of(model: torch.nn.Module) -> int:
    """Bytes of a model's parameters and buffers, each once."""
    return sum(dense.size(value) for value in {id(v): v for v in (*model.parameters(), *model.buffers())}.values())


def is_large(model: torch.nn.Module) -> bool:
    """Whether a model is too large to be copied, and can be shared: TorchScript has no place for what widens it."""
    return size_of(model) >= LARGE and not any(isinstance(m, torch.jit.ScriptModule) for m in model.modules())


def return_freed_memory() -> None:
    """Have glibc return freed blocks of 4 MB and more to the system, for as long as this process lives.

    By itself it keeps those of up to 32 MB: after an export that may be three times the model.
    """
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(_M_MMAP_THRESHOLD, 2**22)


def require(built: Built, what: str, takes: Callable[[int], float]) -> None:
    """Raises WorkerError, of a kind that makes the cell unavailable, where the memory for a step isn't there.

    what: the step. takes: makes bytes that it takes beside the model, which is in memory, of the model's bytes.
    """
    size = size_of(built.model)
    said = f"case {built.name!r}: for {what} of a model of {size / 1e9:.1f} GB"
    needed, reservations = takes(size), Reservations.of_environment()
    if lacking := memory.lacking_after_a_while(said, needed, lambda: reservations.claim(needed)):
        reservations.give_up()
        raise WorkerError(lacking, kind="Unavailable")


def sharing(model: torch.nn.Module) -> torch.nn.Module:
    """A copy of a model whose larger parameters are other `Parameter`s on the same memory."""
    memo: dict[int, Any] = {}
    for value in model.parameters():
        if _is_shared(value):
            memo[id(value)] = torch.nn.Parameter(value.detach(), requires_grad=value.requires_grad)
    # deepcopy keeps alive what it has copied, in a list under the memo's own id.
    return copy.deepcopy(model, memo)


def widened(model: torch.nn.Module) -> torch.nn.Module:
    """As `references.float64.widened`, of a large model: its larger parameters stay as they are until they are used."""
    copied = sharing(model)
    shared = {id(value) for value in copied.parameters() if _is_shared(value)}

    def widen(value: torch.Tensor) -> torch.Tensor:
        if id(value) in shared:
            return value.detach()
        # As Module.double(), which leaves complex numbers alone.
        return value.double() if value.is_floating_point() else value

    copied._apply(widen)
    for module in copied.modules():
        own = [value for value in module._parameters.values() if value is not None and id(value) in shared]
        if own:
            _widen_while_it_runs(module, own)
    return copied


def _is_shared(value: torch.Tensor) -> bool:
    return value.nbytes >= _SHARED and value.is_floating_point()


def _widen_while_it_runs(module: torch.nn.Module, parameters: list[torch.nn.Parameter]) -> None:
    narrow: dict[int, torch.Tensor] = {}
    depth = 0

    # A module may call itself, and two may have a parameter in common: the one who found it narrow puts it back.
    def before(module: torch.nn.Module, args: Any) -> None:
        nonlocal depth
        if depth == 0:
            narrow.update((id(value), value.data) for value in parameters if value.dtype != torch.float64)
            for value in parameters:
                value.data = value.data.double()
        depth += 1

    def after(module: torch.nn.Module, args: Any, returned: Any) -> None:
        nonlocal depth
        depth -= 1
        if depth == 0:
            for value in parameters:
                value.data = narrow.pop(id(value), value.data)

    module.register_forward_pre_hook(before, prepend=True)
    module.register_forward_hook(after, always_call=True)
