"""Properties of a model that can't be read, which TorchScript stumbles over: it asks every module for all it has.

A LightningModule's `trainer` raises where no trainer is attached, for one.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@contextlib.contextmanager
def without_failing(model: torch.nn.Module) -> Iterator[list[str]]:
    """While this is entered the modules lack the properties that raise; their names, as "Net.trainer".

    The modules are then of classes of the same names below their own.
    """
    changed: list[tuple[torch.nn.Module, type]] = []
    names: dict[str, None] = {}
    for module in model.modules():
        if not (failing := _failing(module)):
            continue
        own = type(module)
        names.update((f"{own.__name__}.{name}", None) for name in failing)
        unused = [*getattr(own, "__jit_unused_properties__", ()), *failing]
        members: dict[str, Any] = {"__module__": own.__module__, "__qualname__": own.__qualname__}
        members["__jit_unused_properties__"] = unused
        changed.append((module, own))
        module.__class__ = type(own.__name__, (own,), {**members, **dict.fromkeys(failing, _missing)})
    try:
        yield list(names)
    finally:
        for module, own in changed:
            module.__class__ = own


def note(function: str, failing: Sequence[str]) -> list[str]:
    """What there is to say of properties that a function of PyTorch was not shown; nothing where there were none."""
    if not failing:
        return []
    return [
        f"{function} reads every property of a model, and {', '.join(failing)} can't be read. Exported without; let it "
        f"raise AttributeError where it has no answer, and {function} goes on, too"
    ]


def _failing(module: torch.nn.Module) -> list[str]:
    found = []
    kind: Any = type(module)
    for name in _of_class(kind):
        try:
            getattr(module, name)
        except AttributeError:
            pass  # as if there were none, which is understood
        except Exception:
            found.append(name)
    return found


@functools.lru_cache(maxsize=256)
def _of_class(kind: Any) -> list[str]:
    return [name for name in dir(kind) if isinstance(inspect.getattr_static(kind, name, None), property)]


def _raise(module: Any) -> Any:
    raise AttributeError


_missing = property(_raise)
