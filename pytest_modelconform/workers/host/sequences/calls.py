"""What each step of a sequence is called with, but for what is fed back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_modelconform.terms.sequence import Sequence

from ...loop import WorkerError
from .. import cast
from ..build import Built
from ..cases import explain, short_trace
from ..clones import clone
from ..generate import Call
from ..state import seed_all
from .carry import arguments, tensors_of


def sequence_of(built: Built) -> Sequence:
    """How a case is run step by step. Raises WorkerError for one that says nothing of it."""
    if built.case.sequence is None:
        raise WorkerError(f"case {built.name!r} has no field 'sequence'", "collect")
    return built.case.sequence


def calls(built: Built, path: str) -> list[Call]:
    """A call for each step: the exporters' input set, and in it what `Sequence(inputs=…)` returns for the step.

    path: the case file's, for messages. Raises WorkerError at stage build for what doesn't fit that set.
    """
    sequence = sequence_of(built)
    found = []
    for step in range(sequence.steps):
        call = built.clone_inputs()
        if sequence.inputs is not None:
            call = _with(built, step, call, _given(built, sequence, step, path))
        found.append(call)
    return found


def _given(built: Built, sequence: Sequence, step: int, path: str) -> Mapping[str, Any]:
    where = f"case {built.name!r}, field 'sequence': inputs({step})"
    assert sequence.inputs is not None
    seed_all(built.case.seed, built.name, "step", str(step))
    try:
        value = sequence.inputs(step)
    except BaseException as error:
        raise WorkerError(f"{where}: {explain(error, path)}", "build", "", short_trace(error, path)) from error
    if not isinstance(value, dict):
        raise WorkerError(
            f"{where} returned a {type(value).__name__}: return a dict by the names of arguments, like {{'x': frame}}",
            "build",
        )
    return value if built.dtype == "float32" else cast.cast(value, built.dtype)


def _with(built: Built, step: int, call: Call, given: Mapping[str, Any]) -> Call:
    """A call with some of its arguments replaced by name."""
    where = f"case {built.name!r}, field 'sequence': inputs({step})"
    args, kwargs = list(call[0]), dict(call[1])
    known = arguments(built, call)
    before = tensors_of(call)
    for name, value in given.items():
        if name not in known:
            raise WorkerError(
                f"{where} gives {name!r}, which the input set {built.exporter_set!r} doesn't give: an export takes the "
                f"arguments of that set, which are {', '.join(known)}",
                "build",
            )
        kind, _, key = known[name].removeprefix("/").partition("/")
        if kind == "args":
            args[int(key)] = clone(value)
        else:
            kwargs[key] = clone(value)
    after = tensors_of((tuple(args), kwargs))
    for path in before.keys() ^ after.keys():
        has = "a tensor" if path in before else "no tensor"
        raise WorkerError(
            f"{where}: {path} is {has} in the input set {built.exporter_set!r}, and not in this step: give the same "
            "nest of tensors",
            "build",
        )
    for path, tensor in after.items():
        if tensor.dtype != before[path].dtype:
            one, two = (str(value.dtype).removeprefix("torch.") for value in (before[path], tensor))
            raise WorkerError(
                f"{where}: {path} is {one} in the input set {built.exporter_set!r}, and {two} in this step: give the "
                "same dtype",
                "build",
            )
    return tuple(args), kwargs
