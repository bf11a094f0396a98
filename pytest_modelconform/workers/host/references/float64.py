"""The reference in float64, and eager runs with parameters and inputs moved by one unit in the last place."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from .. import control_flow, large
from ..clones import copied
from ..dense import is_dense
from ..kept import OF_EVERY_MODULE
from ..noise import steps
from ..operands import leaves, mapped

WIDER = {
    torch.float16: torch.float64,
    torch.bfloat16: torch.float64,
    torch.float32: torch.float64,
    torch.complex64: torch.complex128,
}
_PLAIN = (bool, int, float, str, type(None))
SAME_SIZE_INTEGER = {
    torch.float16: torch.int16,
    torch.bfloat16: torch.int16,
    torch.float32: torch.int32,
    torch.float64: torch.int64,
}


class Float64(TorchDispatchMode):
    """Runs every operator in float64: dtype arguments that ask for less are rewritten, narrower operands are widened.

    Needed beside `.double()`, since models say `.float()`, `dtype=torch.float32` and keep constants outside of buffers
    (measured: a tiny Llama ran 38 float32 operators inside `.double()`). `narrow` counts results that came out narrower
    all the same, by operator: then the reference is no reference.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # True, the default, imports the compiler at the first operator: seconds of every case host's life.
        return False

    def __init__(self) -> None:
        super().__init__()
        self.narrow: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Called for each operator."""
        # An operator that writes to an operand or returns a view of it needs that very operand.
        aliases = any(argument.alias_info is not None for argument in func._schema.arguments)

        def widen(value: Any) -> Any:
            if isinstance(value, torch.dtype):
                return WIDER.get(value, value)
            if isinstance(value, torch.Tensor) and not aliases and value.dtype in WIDER:
                return value.to(WIDER[value.dtype])
            return value

        if steps.is_step(func):
            # It takes and returns float32 only.
            return steps.in_float64(func, args, kwargs or {})
        named = {name: mapped(widen, value) for name, value in kwargs.items()} if kwargs else {}
        result = func(*mapped(widen, args), **named)
        # A view of a narrow constant is no computation yet; what is written to one is.
        computes = not aliases or func._schema.is_mutable
        if computes and any(isinstance(leaf, torch.Tensor) and leaf.dtype in WIDER for leaf in leaves(result)):
            self.narrow[str(func)] += 1
        return result


def widened(model: torch.nn.Module) -> torch.nn.Module:
    """A copy of a model in float64; weights of a class that has one dtype only (optimum-quanto's) stay as they are."""

    def widen(value: torch.Tensor) -> torch.Tensor:
        try:
            return value.double() if value.is_floating_point() else value
        except ValueError:
            if is_dense(value):
                raise
            return value

    return copied(model)._apply(widen)


class Widened:
    """Copies of a model in float64 for several runs: the same one, as long as neither it nor the model has changed."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model
        self._copy: torch.nn.Module | None = None
        self._states: object = None
        # What a scripted module keeps can't be looked at from Python.
        scripted = any(isinstance(module, torch.jit.ScriptModule) for module in model.modules())
        self._reuses = not scripted and not large.is_large(model)

    def copy(self) -> torch.nn.Module:
        """A copy of the model as it is now."""
        if self._copy is None or not self._reuses or self._states != (state_of(self.model), state_of(self._copy)):
            # The old one goes first: it is twice the model.
            self._copy = None
            self._copy = large.widened(self.model) if large.is_large(self.model) else widened(self.model)
            self._states = (state_of(self.model), state_of(self._copy))
        return self._copy

    def forget(self) -> None:
        """Make the next copy anew: the model keeps something that doesn't show."""
        self._copy = None


def state_of(model: torch.nn.Module) -> object:
    """What is another object if a run has changed the model: parameters, buffers, and attributes of its modules.

    Of attributes that are lists, tuples, sets or dictionaries, what is in them counts; deeper nests are not looked at.
    """
    tensors = [(id(value), value._version) for value in (*model.parameters(), *model.buffers())]
    attributes = [
        (id(module), name, value if isinstance(value, _PLAIN) else id(value), _content(value))
        for module in model.modules()
        for name, value in vars(module).items()
        if name not in OF_EVERY_MODULE
    ]
    return tensors, attributes


def _content(value: Any) -> list[int] | None:
    if isinstance(value, dict):
        return [id(entry) for pair in value.items() for entry in pair]
    return [id(entry) for entry in value] if isinstance(value, (list, tuple, set, deque)) else None


def run_wide(wide: torch.nn.Module, args: Any, kwargs: Any, run: Callable[..., Any]) -> tuple[Any, str]:
    """The outputs of a model in float64, and what makes them unfit as a reference ("" if nothing).

    wide: from `Widened` or `widened`. `run(wide, args, kwargs)` calls it; args, kwargs: in their own dtype. The outputs
    are None where the model fails in float64.
    """
    args, kwargs = (tree_map(_double, value) for value in (args, kwargs))
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with control_flow.in_python(), Float64() as mode:
            outputs = run(wide, args, kwargs)
    except Exception as error:
        return None, f"the model does not run in float64: {type(error).__name__}: {error}"
    finally:
        torch.set_default_dtype(default)
    if mode.narrow:
        operators = ", ".join(f"{name} x{count}" for name, count in mode.narrow.most_common(3))
        return outputs, f"the float64 run isn't pure: {sum(mode.narrow.values())} results stayed narrower ({operators})"
    return outputs, ""


def _double(value: Any) -> Any:
    return value.to(WIDER[value.dtype]) if isinstance(value, torch.Tensor) and value.dtype in WIDER else value


class Jitter:
    """A copy of a model whose parameters and buffers can be moved by one unit in the last place, again and again."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = copied(model)
        # No run writes to the model's own parameters. It may write to its buffers.
        originals = zip(self.model.parameters(), model.parameters(), strict=True)
        self.parameters = [(value, original.detach()) for value, original in originals]
        self.buffers = [(value, value.detach().clone()) for value in self.model.buffers()]

    def move(self, seed: int, units: int = 1) -> torch.Generator:
        """Move everything up or down at random, by so many units. Returns the generator, for the inputs."""
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for value, original in self.parameters:
                value.copy_(_moved(original, generator, units, parameter=True))
            for buffer, original in self.buffers:
                buffer.copy_(_moved(original, generator, units))
        return generator


def moved(value: Any, generator: torch.Generator, units: int = 1) -> Any:
    """Every tensor of a nest with its elements that many units in the last place larger or smaller, at random.

    Zeros, infinities and NaN stay, and so do tensors that hold whole numbers only: these are masks, counts and flags,
    which a model compares with 0 and 1. (A parameter is none of these, whatever its values.)
    """
    return tree_map(lambda leaf: _moved(leaf, generator, units), value)


def _moved(value: Any, generator: torch.Generator, units: int, parameter: bool = False) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    if value.is_complex():
        return torch.view_as_complex(_moved(torch.view_as_real(value.resolve_conj()), generator, units, parameter))
    integer = SAME_SIZE_INTEGER.get(value.dtype)
    # A single number is a scale rather than a flag, even when it is whole.
    if integer is None or value.numel() == 0 or (not parameter and value.numel() > 1 and is_whole(value)):
        return value.clone(memory_format=torch.preserve_format)
    step = torch.randint(0, 2, value.shape, generator=generator, dtype=torch.int8).to(value.device, integer) * 2 - 1
    step = torch.where(torch.isfinite(value) & (value != 0), step, 0)
    # As transposed as it was: other strides are other kernels, and a model's view() may need them.
    result = torch.empty_like(value, memory_format=torch.preserve_format)
    return result.copy_((value.contiguous().view(integer) + units * step).view(value.dtype))


def is_whole(value: torch.Tensor) -> bool:
    """Whether a tensor holds whole numbers only."""
    return bool((value == value.round()).all())
