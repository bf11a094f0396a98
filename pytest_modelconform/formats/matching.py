"""Which input and output of a file is which of the model's, where something else than our exporters wrote the file.

What the case says comes first, then names, then the order, as far as dtypes and numbers of dimensions fit. What is left
open is an error that says how to say it: a wrong guess would be a mismatch that nobody made.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass


class Unmatched(Exception):
    """Inputs or outputs that can't be told. The message lists both sides, and says what to give."""


@dataclass(frozen=True)
class Value:
    """An input of a file. shape: lengths, and texts for any length; dtype, shape: None where the file doesn't say.

    also: further dtypes that whoever runs such a file makes the file's of.
    """

    name: str
    dtype: str | None = None
    shape: Sequence[int | str] | None = None
    also: Collection[str] = ()

    def takes(self, dtype: str) -> bool:
        """Whether a tensor of a dtype can be given to it."""
        return self.dtype in (None, dtype) or dtype in self.also

    def __str__(self) -> str:
        said = f" ({', '.join(map(str, self.shape))})" if self.shape is not None else ""
        return f"{self.name}: {self.dtype}{said}" if self.dtype else f"{self.name}{said}"


@dataclass(frozen=True)
class Argument:
    """A tensor of the model's call. name: `mask`, or `state_0` for one in a list. shape: names for dynamic lengths."""

    name: str
    path: str
    dtype: str
    shape: Sequence[int | str]

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype} ({', '.join(map(str, self.shape))})"


@dataclass(frozen=True)
class Inputs:
    """Paths of the model's arguments, by the file's inputs in their order. by_order: whether names did not tell all."""

    paths: Mapping[str, str]
    by_order: bool


def inputs(values: Sequence[Value], arguments: Sequence[Argument], said: Mapping[str, str]) -> Inputs:
    """Match a file's inputs with the model's arguments. said: the case's `inputs=`. Raises Unmatched.

    Arguments that no input takes are those that the exporter found to be unused: only where names tell so.
    """
    found: dict[str, Argument] = {}
    for name, wanted in said.items():
        if name not in [value.name for value in values]:
            raise Unmatched(f"inputs= names {name!r}, which the file has not. {_both(values, arguments)}")
        argument = next((one for one in arguments if _same(wanted, one.name) or wanted == one.path), None)
        if argument is None:
            raise Unmatched(
                f"inputs= has {wanted!r} for {name!r}, which is no argument of the model. {_both(values, arguments)}"
            )
        found[name] = argument
    if len({argument.path for argument in found.values()}) < len(found):
        raise Unmatched(f"inputs= names one of the model's arguments twice. {_both(values, arguments)}")
    for value in values:
        taken = {argument.path for argument in found.values()}
        same = [one for one in arguments if one.path not in taken and _same(value.name, one.name)]
        if value.name not in found and len(same) == 1:
            found[value.name] = same[0]
    taken = {argument.path for argument in found.values()}
    open_values = [value for value in values if value.name not in found]
    left = [argument for argument in arguments if argument.path not in taken]
    if open_values:
        found |= _by_order(open_values, left, values, arguments)
    for value in values:
        _check_dtype(value, found[value.name])
    return Inputs({value.name: found[value.name].path for value in values}, bool(open_values) and len(arguments) > 1)


def _by_order(
    values: Sequence[Value], left: Sequence[Argument], all_values: Sequence[Value], arguments: Sequence[Argument]
) -> dict[str, Argument]:
    """What names don't tell: in order, where that fits; else the only way that fits."""
    if len(values) == len(left) and all(_fits(v, a) for v, a in zip(values, left, strict=True)):
        return {value.name: argument for value, argument in zip(values, left, strict=True)}
    if len(values) == len(left) == 1:
        # Nothing else it could be; what doesn't fit is said of its dtype, or by the runtime.
        return {values[0].name: left[0]}
    only = {value.name: [argument for argument in left if _fits(value, argument)] for value in values}
    unique = {name: fitting[0] for name, fitting in only.items() if len(fitting) == 1}
    if len(unique) == len(values) == len({argument.path for argument in unique.values()}):
        return unique
    raise Unmatched(f"it can't be told which input of the file is which argument. {_both(all_values, arguments)}")


def _fits(value: Value, argument: Argument) -> bool:
    if not value.takes(argument.dtype):
        return False
    if value.shape is None:
        return True
    # A length that the case leaves open may be fixed in the file, and the other way round.
    pairs = zip(value.shape, argument.shape, strict=False)
    return len(value.shape) == len(argument.shape) and all(
        a == b for a, b in pairs if isinstance(a, int) and isinstance(b, int)
    )


def _check_dtype(value: Value, argument: Argument) -> None:
    if not value.takes(argument.dtype):
        raise Unmatched(
            f"the file's input {value.name!r} takes {value.dtype}, and the model's {argument.name!r} is "
            f"{argument.dtype}: export it with that dtype, or give the case's inputs in the file's"
        )


def outputs(names: Sequence[str], paths: Sequence[str], said: Mapping[str, str]) -> dict[str, str]:
    """Paths in what the model returns, by the file's outputs. said: the case's `outputs=`. Raises Unmatched.

    paths: of the model's outputs in their order, `/boxes`, "" for a bare tensor.
    """
    both = _lists("outputs", names, [path.strip("/") or "(its only one)" for path in paths], 'outputs={"…": "…"}')
    if said:
        if odd := next((name for name in said if name not in names), None):
            raise Unmatched(f"outputs= names {odd!r}, which the file has not. {both}")
        given = {name: next((path for path in paths if _same(where, path)), None) for name, where in said.items()}
        if odd := next((name for name, path in given.items() if path is None), None):
            raise Unmatched(f"outputs= has {said[odd]!r} for {odd!r}, where the model returns no tensor. {both}")
        found = {name: path for name, path in given.items() if path is not None}
        if sorted(found.values()) != sorted(paths):
            raise Unmatched(f"outputs= has to name each of the model's outputs once. {both}")
        return found
    if len(names) != len(paths):
        raise Unmatched(f"the file returns {len(names)} tensors, the model {len(paths)}. {both}")
    by_name = {name: [path for path in paths if path and _same(name, path)] for name in names}
    if all(len(same) == 1 for same in by_name.values()) and len({same[0] for same in by_name.values()}) == len(names):
        return {name: same[0] for name, same in by_name.items()}
    some = [name for name in names if by_name[name]]
    if some and any(by_name[name][0] != path for name, path in zip(names, paths, strict=True) if by_name[name]):
        raise Unmatched(f"the names of some outputs contradict their order ({', '.join(some)}). {both}")
    return dict(zip(names, paths, strict=True))


def _same(one: str, other: str) -> bool:
    """Whether two names mean the same, whatever stands between their words: `state.0`, `/state/0`, `output_boxes`."""

    def plain(name: str) -> str:
        name = re.sub(r":\d+$", "", name).lower()
        return re.sub(r"[^a-z0-9]+", "_", name).strip("_").removeprefix("output_")

    return plain(one) == plain(other)


def _both(values: Sequence[Value], arguments: Sequence[Argument]) -> str:
    return _lists("inputs", list(map(str, values)), list(map(str, arguments)), 'inputs={"file\'s": "model\'s"}')


def _lists(what: str, files: Sequence[str], models: Sequence[str], remedy: str) -> str:
    """Both sides, as far as anybody reads them."""
    said = [", ".join([*names[:8], *(["…"] if len(names) > 8 else [])]) or "none" for names in (files, models)]
    return f"Say it with {remedy}.\nThe file's {what}: {said[0]}\nThe model's {what}: {said[1]}"
