"""A model as calls of its submodules, for models that have no program: each call is a part with what reaches it."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from ..build import Built
from ..clones import clone, copied
from ..references.eager import run
from .described import said


@dataclass
class Called:
    """A call of a submodule. name: its path, with "@1" for the second call. parent: the call that it is inside of."""

    name: str
    module: torch.nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    parent: str
    returned: Any = None


class Alone(torch.nn.Module):
    """A submodule as it was called, of the call's tensors alone; returns the tensors of what it returns.

    A tensor that is given twice is one: attention is another one for a query that is its key.
    """

    def __init__(self, module: torch.nn.Module, call: tuple[Any, Any]) -> None:
        super().__init__()
        self.module = module
        self.leaves, self.spec = tree_flatten(call)
        self.leaves = [None if isinstance(leaf, torch.Tensor) else leaf for leaf in self.leaves]
        given = [(i, leaf) for i, leaf in enumerate(tree_flatten(call)[0]) if isinstance(leaf, torch.Tensor)]
        which = {id(leaf): number for number, leaf in enumerate(_distinct(call))}
        # Where each tensor goes, and which of those it is that forward takes.
        self.places = [(i, which[id(leaf)]) for i, leaf in given]

    @classmethod
    def of(cls, module: torch.nn.Module, call: tuple[Any, Any]) -> Alone:
        """One whose forward has a parameter a tensor: sizes that vary are given by parameter."""
        made = cls(module, call)
        names = ", ".join(made.parameter_names())
        scope: dict[str, Any] = {}
        exec(f"def forward(self, {names}):\n    return self.called({names})\n", scope)
        return type(cls.__name__, (cls,), {"forward": scope["forward"]})(module, call)

    def parameter_names(self) -> list[str]:
        """Of forward."""
        return [f"x_{i}" for i in range(len({which for _, which in self.places}))]

    def called(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Call the submodule."""
        leaves = list(self.leaves)
        for place, which in self.places:
            leaves[place] = tensors[which]
        args, kwargs = tree_unflatten(leaves, self.spec)
        returned = tree_leaves(self.module(*args, **kwargs))
        return tuple(leaf for leaf in returned if isinstance(leaf, torch.Tensor))


@contextmanager
def recorded(model: torch.nn.Module, wanted: str = "") -> Iterator[list[Called]]:
    """Note the calls of submodules while this is entered, in the order in which they begin. wanted: one; else all.

    What they are called with and return is copied, of the wanted one only where that is named.
    """
    calls: list[Called] = []
    open_calls: list[Called] = []
    counts: Counter[str] = Counter()
    handles = []

    def hooks(path: str) -> tuple[Any, Any]:
        def before(module: torch.nn.Module, args: Any, kwargs: Any) -> None:
            name = f"{path}@{counts[path]}" if counts[path] else path
            counts[path] += 1
            parent = open_calls[-1].name if open_calls else ""
            keeps = not wanted or name == wanted
            given, named = _cloned((args, kwargs)) if keeps else ((), {})
            call = Called(name, module, given, named, parent)
            open_calls.append(call)
            calls.append(call)

        def after(module: torch.nn.Module, args: Any, kwargs: Any, returned: Any) -> None:
            call = open_calls.pop()
            if not wanted or call.name == wanted:
                # A copy: what is called next may write to it.
                call.returned = clone(returned)

        return before, after

    for path, module in model.named_modules():
        if path and not isinstance(module, torch.jit.ScriptModule):
            before, after = hooks(path)
            handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
            handles.append(module.register_forward_hook(after, with_kwargs=True))
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def calls(built: Built, key: str, wanted: str = "") -> list[Called]:
    """The calls that a model makes for an input set."""
    model = copied(built.model)
    with recorded(model, wanted) as found:
        run(built, key, model, *built.clone_inputs(key))
    if wanted:
        found = [call for call in found if call.name == wanted]
    return found


def described(built: Built) -> list[dict[str, Any]]:
    """The fields of each `Operator`, with `parent` and `results`, in the order in which the calls end."""
    found = []
    # By identity: copies of what is called with are others, so that this is by the tensors' values.
    origins: dict[tuple[Any, ...], str] = {}
    for path, leaf in _named_inputs(built):
        origins[_print(leaf)] = path
    for call in calls(built, built.exporter_set):
        given = [leaf for leaf in tree_leaves((call.args, call.kwargs)) if isinstance(leaf, torch.Tensor)]
        returned = [leaf for leaf in tree_leaves(call.returned) if isinstance(leaf, torch.Tensor)]
        takes = [origins[_print(leaf)] for leaf in given if _print(leaf) in origins]
        file, line = _place(call.module)
        kind = type(call.module).__name__
        found.append(
            {
                "name": call.name,
                "target": kind,
                "call": f"{call.name}({', '.join(map(said, given))})",
                "takes": list(dict.fromkeys(takes)),
                "inputs": [said(leaf) for leaf in given],
                "returns": [said(leaf) for leaf in returned],
                "module": call.name.partition("@")[0],
                "kind": kind,
                "file": file,
                "line": line,
                "source": "",
                "comparable": bool(returned) and bool(given) and all(leaf.is_floating_point() for leaf in returned),
                "results": len(returned),
                "parent": call.parent,
            }
        )
        for leaf in returned:
            origins[_print(leaf)] = call.name
    return found


def _named_inputs(built: Built) -> Iterator[tuple[str, torch.Tensor]]:
    args, kwargs = built.inputs[built.exporter_set]
    for name, value in built.by_name(args, kwargs).items():
        for leaf in tree_leaves(value):
            if isinstance(leaf, torch.Tensor):
                yield name, leaf


def _print(tensor: torch.Tensor) -> tuple[Any, ...]:
    """What tells a tensor from others: dtype, shape and numbers."""
    numbers = tensor.detach().double() if tensor.is_floating_point() else tensor.detach()
    total = hash(numbers.contiguous().cpu().numpy().tobytes()) if not tensor.is_complex() else id(tensor)
    return str(tensor.dtype), tuple(tensor.shape), total


def _place(module: torch.nn.Module) -> tuple[str, int]:
    """Where a submodule's code is; ("", 0) of PyTorch's own."""
    if type(module).__module__.partition(".")[0] == "torch":
        return "", 0
    try:
        return inspect.getsourcefile(type(module)) or "", inspect.getsourcelines(type(module).forward)[1]
    except (OSError, TypeError):
        return "", 0


def alone(call: Called) -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
    """A submodule with what it is called with: by itself where it takes and returns tensors only, else in `Alone`."""
    module = copied(call.module)
    returned = call.returned if isinstance(call.returned, tuple) else (call.returned,)
    tensors = _distinct((call.args, call.kwargs))
    plain = not call.kwargs and all(isinstance(value, torch.Tensor) for value in (*call.args, *returned))
    if plain and len(tensors) == len(call.args):
        return module, call.args
    return Alone.of(module, (call.args, call.kwargs)), tensors


def _distinct(call: tuple[Any, Any]) -> tuple[torch.Tensor, ...]:
    """The tensors of a call, each once."""
    return tuple({id(leaf): leaf for leaf in tree_leaves(call) if isinstance(leaf, torch.Tensor)}.values())


def _cloned(call: tuple[Any, Any]) -> tuple[Any, Any]:
    """A copy of a call, in which a tensor that is given twice is one, too."""
    leaves, spec = tree_flatten(call)
    made = {id(leaf): clone(leaf) for leaf in leaves}
    copied: tuple[Any, Any] = tree_unflatten([made[id(leaf)] for leaf in leaves], spec)
    return copied


def varying(shapes: Sequence[Sequence[tuple[int, ...]]], own: dict[tuple[int, ...], str]) -> list[dict[int, Any]]:
    """Which dimensions of a call's tensors are dynamic: those that differ between input sets.

    shapes: of the tensors, by input set, the exporters' first. own: the case's names by the lengths in these sets.
    """
    found = []
    for tensor in zip(*shapes, strict=True):
        lengths = list(zip(*tensor, strict=True))
        varies = [axis for axis, length in enumerate(lengths) if len(set(length)) > 1 and length[0] > 1]
        found.append({axis: own.get(lengths[axis], torch.export.Dim.AUTO) for axis in varies})
    return found
