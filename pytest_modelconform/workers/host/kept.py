"""What a model keeps in plain attributes: an export of the same object would have in it what earlier runs left there.

Parameters and buffers are the digest's matter (build.py).
"""

from __future__ import annotations

import copy
import hashlib
import sys
import types
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..loop import WorkerError
from ..torch_tensors import view_of

# Parameters, buffers, children, which are looked at by themselves, and hooks.
OF_EVERY_MODULE = frozenset(vars(torch.nn.Module())) - {"training"}
# Left by torch.jit.script, and by transformers at the first call, beside hooks that do nothing unless asked to.
_MARKS = {"__overloads__", "_output_capturing_hooks_installed"}
_PLAIN = (bool, int, str, bytes, complex, type(None), type(...), torch.dtype, torch.device, torch.layout)
# How deep objects in objects are looked at, and how many of one model: beyond that, another object is a change.
_DEPTH = 6
_MOST = 100_000
# Objects of Python itself and of PyTorch note down what they like (a logger, a path, the graph of a GraphModule).
_NOT_LOOKED_INTO = frozenset(sys.stdlib_module_names) - {"types", "collections"} | {"torch"}


class _Object:
    """Stands for an object by its identity, and holds it: another one can't come to have its address."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Object) and self.value is other.value

    __hash__ = None  # type: ignore[assignment]


def state(model: torch.nn.Module) -> dict[str, object]:
    """What stands for each plain attribute of a model's modules, by its name; comparable with what it was before.

    Tensors, arrays and numbers are compared by content, and so is what lists, dictionaries and objects hold, to some
    depth. Functions, and all that can't be looked into, are by identity. (What a scripted module keeps can't be seen.)
    """
    return _Look(model).attributes(model)


def changed(before: Mapping[str, object], model: torch.nn.Module) -> list[str]:
    """The names of the attributes that are not what they were: that a run, or an exporter, has left something in."""
    now = state(model)
    return [name for name in {**before, **now} if name not in before or name not in now or before[name] != now[name]]


def keeper(model: torch.nn.Module) -> Callable[[Sequence[str]], None]:
    """What puts attributes back, by their names: for a model that the case file built once, and hands out again."""
    known = {id(value): value for value in (*model.parameters(), *model.buffers(), *model.modules())}
    modules = {name: one for name, one in model.named_modules() if not isinstance(one, torch.jit.ScriptModule)}
    saved = {
        f"{name}.{attribute}" if name else attribute: _copied(value, known)
        for name, one in modules.items()
        for attribute, value in vars(one).items()
        if attribute not in OF_EVERY_MODULE
    }

    def put_back(names: Sequence[str]) -> None:
        for name in names:
            module, _, attribute = name.rpartition(".")
            if module not in modules:
                continue  # a scripted one, or one that a run has added, with all that it has
            own: dict[str, Any] = modules[module].__dict__
            if name in saved:
                own[attribute] = _copied(saved[name], known)
            else:
                own.pop(attribute, None)

    return put_back


def _copied(value: Any, known: Mapping[int, object]) -> Any:
    """A copy of what can be written to, with the model's own weights and modules in it; else the value itself."""
    if not (isinstance(value, (torch.Tensor, np.ndarray, dict, list, tuple, set, deque)) or _own(value)):
        return value
    try:
        return copy.deepcopy(value, dict(known))
    except Exception:  # Whatever an object has against it: then it is put back as it is by now.
        return value


class _Look:
    """One look at a model. What was met before stands for itself again: there may be loops."""

    def __init__(self, model: torch.nn.Module) -> None:
        # What the digest looks at, and modules that have attributes of their own here.
        known = (*model.parameters(), *model.buffers(), *model.modules())
        self.met: dict[int, object] = {id(value): ("known", number) for number, value in enumerate(known)}
        # Held until the look is over, so that no two have one address.
        self.held: list[object] = [known]

    def attributes(self, module: torch.nn.Module, depth: int = _DEPTH) -> dict[str, object]:
        """What stands for each attribute of a module and its children, by name."""
        return {
            f"{name}.{attribute}" if name else attribute: self.of(value, depth)
            for name, one in module.named_modules()
            if not _is_ours(one)
            for attribute, value in vars(one).items()
            if attribute not in OF_EVERY_MODULE | _MARKS | _made_anew(one)
        }

    def of(self, value: Any, depth: int) -> object:
        """What stands for a value: equal for one that is the same, and has no other content."""
        kind = type(value)
        if kind in _PLAIN:
            return kind, value
        if kind is float:
            return kind, value.hex()  # NaN is as it was, too
        if id(value) not in self.met:
            self.held.append(value)
            self.met[id(value)] = "loop"
            self.met[id(value)] = self._of_new(value, depth)
        return self.met[id(value)]

    def _of_new(self, value: Any, depth: int) -> object:
        if isinstance(value, torch.Tensor):
            return _of_tensor(value)
        if type(value) is np.ndarray and value.dtype != object:
            return "array", value.dtype.str, value.shape, hashlib.sha256(value.tobytes()).digest()
        if depth == 0 or len(self.met) > _MOST:
            return _Object(value)
        return self._of_content(value, depth - 1)

    def _of_content(self, value: Any, depth: int) -> object:
        kind = type(value)
        if isinstance(value, torch.nn.Module) and not isinstance(value, torch.jit.ScriptModule):
            # In a list, say, so that it is no child. Its weights are nobody else's matter.
            weights = [(name, self.of(one, depth)) for name, one in _weights(value)]
            return _Object(value), weights, self.attributes(value, depth)
        if isinstance(value, (dict, types.MappingProxyType)):
            return kind, [(self.of(key, depth), self.of(one, depth)) for key, one in list(value.items())]
        if isinstance(value, (list, tuple, deque)):
            return kind, [self.of(one, depth) for one in list(value)]
        if isinstance(value, (set, frozenset)):
            return kind, frozenset(value)
        own = _own(value)
        return (_Object(value), [(name, self.of(one, depth)) for name, one in own]) if own else _Object(value)


def _made_anew(module: torch.nn.Module) -> set[str]:
    """Weights that `torch.nn.utils` (weight_norm, spectral_norm, prune) computes of others before each call."""
    hooks = [hook for hook in module._forward_pre_hooks.values() if type(hook).__module__.startswith("torch.nn.utils.")]
    names = (getattr(hook, "name", getattr(hook, "_tensor_name", None)) for hook in hooks)
    return {name for name in names if isinstance(name, str)}


def _is_ours(module: torch.nn.Module) -> bool:
    """Whether it wraps a model of another framework, and keeps what it runs that with."""
    return type(module).__module__.partition(".")[0] == __name__.partition(".")[0]


def _weights(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def _own(value: Any) -> list[tuple[str, Any]]:
    """The attributes of an object, be they in slots; [] of one that isn't looked into."""
    opaque = (type, types.FunctionType, types.MethodType, types.ModuleType)
    if isinstance(value, opaque) or str(type(value).__module__).partition(".")[0] in _NOT_LOOKED_INTO:
        return []
    found = dict(value.__dict__) if isinstance(getattr(value, "__dict__", None), dict) else {}
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if isinstance(member := kind.__dict__.get(name), types.MemberDescriptorType):
                try:
                    found[name] = member.__get__(value)
                except AttributeError:
                    continue  # not set
    return list(found.items())


def _of_tensor(value: torch.Tensor) -> object:
    # Those that exporters compute with (FakeTensor) have no numbers.
    if type(value) not in (torch.Tensor, torch.nn.Parameter) or value.device.type == "meta":
        return _Object(value)
    try:
        seen = view_of(value)
    except WorkerError:
        return _Object(value), value._version
    return "tensor", seen.dtype, seen.shape, seen.order, str(value.device), hashlib.sha256(seen.data).digest()
