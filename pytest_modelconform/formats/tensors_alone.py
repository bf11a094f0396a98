"""A model whose forward takes the tensors of a call alone, for exporters that trace.

`torch.jit.trace` takes tensors only, and gives by name no more than forward's plain parameters: neither what comes
after `*`, nor what `**kwargs` takes. ONNX's older exporter gives every argument by place, and makes inputs of numbers.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from ..workers.host.build import Built


@dataclass(frozen=True)
class TensorCall:
    """The call of a model with the exporters' input set, as its forward takes it now: by place, without constants.

    values: tensors, and lists, tuples and dicts of them. arguments: what each is called by, "" for one by place, and
    its path in the model's own call, as a signature has them. constants: the paths of what forward is given besides.
    """

    model: torch.nn.Module
    values: tuple[Any, ...]
    arguments: list[tuple[str, str]]
    constants: tuple[str, ...]


def only_by_name(built: Built) -> list[str]:
    """Arguments of the exporters' call that a forward has no plain parameter for: after `*`, in `**kwargs`."""
    from ..workers.host.forward import signature

    _, kwargs = built.inputs[built.exporter_set]
    parameters = signature(built.model).parameters
    plain = [name for name, one in parameters.items() if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    return [name for name in kwargs if name not in plain]


def fixed(built: Built) -> dict[str, Any]:
    """What the exporters' call gives that is numbers, texts and None alone, by parameter."""
    from ..workers.host.forward import is_constant

    args, kwargs = built.inputs[built.exporter_set]
    given = {built.argument_name(f"/args/{place}"): value for place, value in enumerate(args)} | kwargs
    return {name: value for name, value in given.items() if is_constant(value)}


@contextlib.contextmanager
def taken(built: Built) -> Iterator[TensorCall]:
    """While this is entered, forward takes the tensors of the exporters' call by these names, and is given the rest.

    The model stays the same object of a class of the same name, so that its parameters keep their names, too.
    """
    from ..workers.host.forward import is_constant

    model = built.model
    args, kwargs = built.clone_inputs()
    paths = [f"/args/{place}" for place in range(len(args))] + [f"/kwargs/{name}" for name in kwargs]
    values = dict(zip(paths, (*args, *kwargs.values()), strict=True))
    constants = {path: value for path, value in values.items() if is_constant(value)}
    tensors = {path: value for path, value in values.items() if path not in constants}
    own, original = type(model), model.forward

    def forward(self: Any, *given: Any, **named: Any) -> Any:
        bound = forward_signature.bind(self, *given, **named).arguments
        found = constants | dict(zip(tensors, list(bound.values())[1:], strict=True))
        by_place = [found[path] for path in paths[: len(args)]]
        return original(*by_place, **{name: found[f"/kwargs/{name}"] for name in kwargs})

    names = _names(built, list(tensors))
    forward_signature = inspect.Signature(
        [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("self", *names)]
    )
    forward.__signature__ = forward_signature  # type: ignore[attr-defined]
    members = {"forward": forward, "__module__": own.__module__, "__qualname__": own.__qualname__}
    changed = type(own.__name__, (own,), members)
    hidden = model.__dict__.pop("forward", None)  # of libraries that wrap one model's call, which `original` is
    model.__class__ = changed
    try:
        arguments = [
            ("" if path.startswith("/args/") else name, path) for name, path in zip(names, tensors, strict=True)
        ]
        yield TensorCall(model, tuple(tensors.values()), arguments, tuple(constants))
    finally:
        model.__class__ = own
        if hidden is not None:
            model.__dict__["forward"] = hidden


def _names(built: Built, paths: list[str]) -> list[str]:
    """What the new forward calls them: one by name its own name, one by place the name of its plain parameter."""
    from ..workers.host.forward import signature

    plain = [
        name
        for name, one in signature(built.model).parameters.items()
        if one.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    ]
    found = []
    for path in paths:
        kind, name = path[1:].split("/")
        if kind == "args":
            name = plain[int(name)] if int(name) < len(plain) else f"input_{name}"
        found.append(name)
    return found
