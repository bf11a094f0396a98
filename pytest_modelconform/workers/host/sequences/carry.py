"""What a step takes of what the step before returned: places in the nest of a call and in that of its result."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from ...loop import WorkerError
from ...torch_tensors import leaves
from ..build import Built
from ..forward import signature
from ..generate import Call

_MOST_NAMED = 6


class Wire(NamedTuple):
    """A tensor that goes from a step to the next. taken: its path in the call. returned: that in the result."""

    taken: str
    returned: str


def tensors_of(call: Call) -> dict[str, torch.Tensor]:
    """The tensors of a call by path: "/args/0", "/kwargs/cache/key"."""
    args, kwargs = call
    return {**dict(leaves(args, "/args")), **dict(leaves(kwargs, "/kwargs"))}


def arguments(built: Built, call: Call) -> dict[str, str]:
    """The path of each argument of a call, by the name that forward gives it."""
    args, kwargs = call
    names = list(signature(built.model).parameters)
    found = {names[i] if i < len(names) else f"input_{i}": f"/args/{i}" for i in range(len(args))}
    return found | {name: f"/kwargs/{name}" for name in kwargs}


def wires(built: Built, carry: Mapping[str, str | int], call: Call, returned: Any) -> list[Wire]:
    """What is fed back, tensor by tensor. returned: what the first step returns.

    Raises WorkerError at stage build for an input or an output that there is not, for nests of another form, and for
    tensors of another dtype.
    """
    known = arguments(built, call)
    given, made = tensors_of(call), dict(leaves(returned))
    found: list[Wire] = []
    for taken, output in carry.items():
        there = _inputs(built, taken, known, given)
        here = _outputs(built, output, made)
        if there.keys() != here.keys():
            raise _fault(
                built,
                f"{taken!r} takes {_listed(there)}, and output {output!r} has {_listed(here)}. Both must have the same "
                "places: carry each by itself, or change the nest",
            )
        for place, path in there.items():
            one, two = given[path], made[here[place]]
            if one.dtype != two.dtype:
                raise _fault(
                    built,
                    f"{taken!r} is {_dtype(one)}, and output {output!r} is {_dtype(two)}: return what the next call "
                    "takes, with .to(…)",
                )
            if any(wire.taken == path for wire in found):
                raise _fault(built, f"two outputs are carried to {path}: leave one of them out")
            found.append(Wire(path, here[place]))
    return found


def _inputs(built: Built, taken: str, known: Mapping[str, str], given: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """The tensors of an input, by their place in it."""
    name, _, inner = taken.partition("/")
    start = taken if taken.startswith("/") else known.get(name, "") + (f"/{inner}" if inner else "")
    if not taken.startswith("/") and name not in known:
        raise _fault(
            built, f"the input set {built.exporter_set!r} gives no argument {name!r}; it gives {', '.join(known)}"
        )
    if not (found := _below(given, start)):
        raise _fault(built, f"there is no tensor {taken!r} among the inputs; there are {_names(given)}")
    return found


def _outputs(built: Built, output: str | int, made: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """The tensors of an output, by their place in it."""
    name = str(output).strip("/")
    if not (found := _below(made, f"/{name}" if name else "")):
        known = ["the result itself, ''" if not path else repr(path.removeprefix("/")) for path in made]
        raise _fault(built, f"the model returns no tensor {output!r}: name one of {_few(known)}")
    return found


def _below(paths: Mapping[str, Any], start: str) -> dict[str, str]:
    return {path[len(start) :]: path for path in paths if path == start or path.startswith(f"{start}/")}


def fed(call: Call, state: Mapping[str, torch.Tensor]) -> Call:
    """A call with some of its tensors replaced, by path."""
    args, kwargs = call
    return _replaced(args, "/args", state), _replaced(kwargs, "/kwargs", state)


def _replaced(value: Any, path: str, state: Mapping[str, torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        return state.get(path, value)
    if isinstance(value, dict):
        return type(value)((key, _replaced(inner, f"{path}/{key}", state)) for key, inner in value.items())
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_replaced(inner, f"{path}/{i}", state) for i, inner in enumerate(value)))
    if isinstance(value, (list, tuple)):
        return type(value)(_replaced(inner, f"{path}/{i}", state) for i, inner in enumerate(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        inner = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return dataclasses.replace(value, **{k: _replaced(v, f"{path}/{k}", state) for k, v in inner.items()})
    return value


def _fault(built: Built, text: str) -> WorkerError:
    return WorkerError(f"case {built.name!r}, field 'sequence': carry: {text}", "build")


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _listed(places: Mapping[str, str]) -> str:
    return _few([repr(place.removeprefix("/")) if place else "one tensor" for place in places])


def _names(paths: Mapping[str, Any]) -> str:
    return _few(list(paths))


def _few(words: Sequence[str]) -> str:
    more = [f"{len(words) - _MOST_NAMED} more"] if len(words) > _MOST_NAMED else []
    return ", ".join([*words[:_MOST_NAMED], *more])
