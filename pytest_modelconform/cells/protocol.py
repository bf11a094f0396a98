"""What a runtime's worker answers, as types; `typed.py` reads them. docs/architecture.md has the wire."""

from __future__ import annotations

from typing import Literal

import msgspec

from ..compare import Tree
from ..workers.tensors import TensorFileError
from .worker import broke_the_protocol

# What nonsense in an answer, or in the file that it announces, comes to when it is read.
NONSENSE = (TensorFileError, LookupError, ValueError, TypeError, OSError, StopIteration)


class RunOnce(msgspec.Struct, frozen=True):
    """One run of an input set. seconds: of the call itself."""

    seconds: float | None = None
    outputs: Tree | None = None
    same_as: int | None = None  # the earlier run whose result this is, bit for bit; it then has no outputs
    layout: Literal["tree", "flat"] | None = None  # where it isn't the artifact's


class CompiledPart(msgspec.Struct, frozen=True):
    """A graph break, a recompilation, or a function that was left to eager PyTorch. times: how often it was found."""

    where: str
    reason: str
    times: int = 1


class Compiled(msgspec.Struct, frozen=True):
    """What `torch.compile` made while an input set ran; workers/python/compiled.py has what each means."""

    graphs: int
    seconds: float = 0.0
    breaks: tuple[CompiledPart, ...] = ()
    recompilations: tuple[CompiledPart, ...] = ()
    eager: tuple[CompiledPart, ...] = ()


class RunAnswer(msgspec.Struct, frozen=True):
    """Of `run`. inputs_changed: keys of input tensors that the model wrote to."""

    runs: tuple[RunOnce, ...]
    inputs_changed: tuple[str, ...] = ()
    compiled: Compiled | None = None  # by runtimes that compile while they run


class LoadAnswer(msgspec.Struct, frozen=True):
    """Of `load`."""

    seconds: float | None = None


class ErrorAnswer(msgspec.Struct, frozen=True):
    """What a call threw."""

    type: str = ""
    message: str = ""


class Deviation(msgspec.Struct, frozen=True):
    """A result that differs from the serial ones. call: the index of its input set. serial: one of these."""

    call: int
    outputs: Tree
    serial: Tree


class Trial(msgspec.Struct, frozen=True):
    """What so many threads on one instance, or each on a clone, came to. results, different, failed: of their calls."""

    instance: Literal["one", "clones"]
    threads: int
    results: int
    different: int
    failed: int
    deviations: tuple[Deviation, ...] = ()
    error: ErrorAnswer | None = None


class ConcurrentAnswer(msgspec.Struct, frozen=True):
    """Of `concurrent`."""

    trials: tuple[Trial, ...]
    clonable: bool = True
    clone_error: ErrorAnswer | None = None


class TrainAnswer(msgspec.Struct, frozen=True):
    """Of `train`, and of the case host's `resume`."""

    outputs: Tree
    seconds: float | None = None


def broken(name: str, what: str, error: Exception) -> str:
    """The message where a worker's answer is nonsense. what: what can't be read, or when it was given."""
    return broke_the_protocol(name, f": {what}: {type(error).__name__}: {error}")
