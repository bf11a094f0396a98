"""Which sizes of a program's tensors can be smaller, and which of them only together.

A convolution's weight has as many channels as what it is given; what a `view` is told in numbers goes with them. None
of that is known of operators in general, so it is tried: on tensors without data, which costs next to nothing.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from .trace import INPUT

# Of processor time, so that it comes to the same on a machine that has much to do.
_SECONDS = 4.0
# So many pairs are tried of a size that can't change by itself.
_PAIRS = 12


class Program(Protocol):
    """What runs on tensors by name, with numbers in its calls; as `Trace` has it."""

    @property
    def tensors(self) -> Mapping[str, torch.Tensor]:
        """What it is called with, and its weights."""

    @property
    def kinds(self) -> Mapping[str, str]:
        """Of each whether it is an input."""

    @property
    def varies(self) -> Mapping[str, Mapping[int, str]]:
        """By input the axes that may vary."""

    @property
    def literals(self) -> Sequence[int]:
        """The numbers."""

    def run(self, tensors: Mapping[str, torch.Tensor], literals: Sequence[int]) -> list[Any]:
        """What it returns for others. Raises what its operators do."""


class Slot(NamedTuple):
    """A place that has a size. tensor: its name, "" for a number in a call. axis: the place in `Literals` for one."""

    tensor: str
    axis: int


@dataclass(frozen=True)
class Size:
    """Places that change together. of: what they have now, each times its factor. least: the least that runs."""

    of: int
    least: int
    slots: Mapping[Slot, int]


class _Ended(Exception):
    """The time is up."""


class Finder:
    """Tries sizes of one program."""

    def __init__(self, trace: Program) -> None:
        self.trace = trace
        names = sorted(trace.tensors, key=lambda name: trace.kinds[name] != INPUT)
        slots = (Slot(name, axis) for name in names for axis in range(trace.tensors[name].dim()))
        # What varies is another size in another input set.
        fixed = (slot for slot in slots if slot.axis not in trace.varies.get(slot.tensor, {}))
        self.now = {slot: trace.tensors[slot.tensor].shape[slot.axis] for slot in fixed}
        self.literals = {Slot("", place): n for place, n in enumerate(trace.literals)}
        self.now |= self.literals
        self.axes = [_axes(output) for output in trace.run(trace.tensors, trace.literals)]
        self.deadline = time.process_time() + _SECONDS
        self._known: dict[tuple[tuple[Slot, int], ...], bool] = {}

    def found(self) -> list[Size]:
        """All sizes that can be smaller, each by itself and all at once."""
        tied: list[tuple[Slot, set[Slot]]] = []
        with contextlib.suppress(_Ended):
            self._tie(tied)
        self.deadline += _SECONDS / 2
        sizes: list[Size] = []
        with contextlib.suppress(_Ended):
            sizes += self._each(tied)
        self.deadline += _SECONDS / 2
        kept: list[Size] = []
        with contextlib.suppress(_Ended):
            self._join(sizes, kept)
        return kept

    def _each(self, tied: Iterable[tuple[Slot, set[Slot]]]) -> Iterator[Size]:
        for seed, slots in tied:
            of = self.now[seed]
            factors = {slot: self.now[slot] // of for slot in slots}
            is_batch = all(self.trace.kinds[slot.tensor] == INPUT and slot.axis == 0 for slot in slots if slot.tensor)
            least = next((n for n in _upwards(of, 1 if is_batch else 2) if self._runs(_changed(factors, n))), of)
            if least < of:
                yield Size(of, least, factors)

    def _tie(self, found: list[tuple[Slot, set[Slot]]]) -> None:
        """Find which places change together, each with the one that its size is counted in."""
        for seed in [slot for slot in self.now if slot.tensor and self.now[slot] >= 2]:
            settled = {slot for _, slots in found for slot in slots if slot.tensor}
            if seed in settled:
                continue
            slots = next((slots for slots in self._groups(seed, settled) if self._shrinks(seed, slots)), None)
            if slots is not None:
                found.append((seed, slots))
                continue
            # An index may be shorter than what it is an index of, which then can only follow.
            for place, (other, known) in enumerate(found):
                if self.now[other] == self.now[seed] and self._shrinks(seed, {seed, *known}):
                    found[place] = (other, {seed, *known})
                    break

    def _groups(self, seed: Slot, settled: set[Slot]) -> Iterator[set[Slot]]:
        """What may have to change with a place, the likeliest first."""
        of, free = self.now[seed], [slot for slot in self.now if slot not in settled]
        alike = [slot for slot in free if slot.tensor and self.now[slot] == of and slot != seed]
        said = [slot for slot in self.literals if self.now[slot] == of]
        yield {seed}
        yield from ({seed, other} for other in alike[:_PAIRS])
        yield {seed, *alike}
        yield from ({seed, *alike} - {other} for other in alike[:_PAIRS])
        yield from ({seed, other} for other in said[:_PAIRS])
        larger = [slot for slot in free if slot.tensor and self.now[slot] > of and self.now[slot] % of == 0]
        yield from ({seed, other} for other in larger[:_PAIRS])
        for group in ({seed, *said}, {seed, *alike, *said}):
            yield group
            times = [slot for slot in self.literals if self.now[slot] > of and self.now[slot] % of == 0]
            yield from ({*group, other} for other in times[:_PAIRS])
            yield {*group, *times}
        yield {slot for slot in free if self.now[slot] % of == 0 and self.now[slot] >= of}

    def _shrinks(self, seed: Slot, slots: Iterable[Slot]) -> bool:
        of = self.now[seed]
        factors = {slot: self.now[slot] // of for slot in slots}
        # One is taken for a size that may be stretched, and so says little.
        tries = [n for n in dict.fromkeys((of // 2, of - 1, 2, 4)) if 2 <= n < of] or [1]
        return any(self._runs(_changed(factors, n)) for n in tries)

    def _join(self, sizes: Sequence[Size], kept: list[Size]) -> None:
        """Keep sizes whose least values run together: what stands in the way stays as it is."""
        together: dict[Slot, int] = {}
        for size in sizes:
            for least in _upwards(size.of, size.least):
                wanted = together | _changed(size.slots, least)
                if self._runs(wanted):
                    together = wanted
                    kept.append(Size(size.of, least, size.slots))
                    break

    def _runs(self, changed: Mapping[Slot, int]) -> bool:
        """Whether the program runs on tensors of other sizes."""
        if time.process_time() > self.deadline:
            raise _Ended
        key = tuple(sorted(changed.items()))
        if key not in self._known:
            self._known[key] = self._tried(changed)
        return self._known[key]

    def _tried(self, changed: Mapping[Slot, int]) -> bool:
        literals = [changed.get(Slot("", place), n) for place, n in enumerate(self.trace.literals)]
        shapes = {
            name: [changed.get(Slot(name, axis), n) for axis, n in enumerate(tensor.shape)]
            for name, tensor in self.trace.tensors.items()
        }
        with _quiet(), FakeTensorMode(allow_non_fake_inputs=True):
            empty = {name: torch.empty(shapes[name], dtype=own.dtype) for name, own in self.trace.tensors.items()}
            # What a kernel checks by itself, or what depends on values, is seen with the tensors' own only.
            if not self._works(empty, literals):
                return False
        real = {name: cut(self.trace.tensors[name], shape, below(name, changed)) for name, shape in shapes.items()}
        return self._works(real, literals)

    def _works(self, tensors: Mapping[str, torch.Tensor], literals: Sequence[int]) -> bool:
        try:
            outputs = self.trace.run(tensors, literals)
        except Exception:
            return False
        return len(outputs) == len(self.axes) and all(map(_is_like, outputs, self.axes))


def below(tensor: str, changed: Mapping[Slot, int]) -> int | None:
    """What the whole numbers of a tensor have to be less than, so that they may be indices; None: as they are."""
    return min((n for slot, n in changed.items() if n > 1 and slot.tensor != tensor), default=None)


def cut(tensor: torch.Tensor, shape: Sequence[int], most: int | None) -> torch.Tensor:
    """The first elements of a tensor in each dimension, and its whole numbers below a bound."""
    found = tensor[tuple(slice(0, length) for length in shape)].clone()
    is_index = not found.is_floating_point() and not found.is_complex() and found.dtype is not torch.bool
    return found.clamp(max=most - 1) if is_index and most is not None else found


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without a stack for each size that doesn't fit: most don't."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    was, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = was


def _axes(output: torch.Tensor) -> int:
    """How many axes are longer than one: what is left of a pooled image of one pixel shows nothing."""
    return sum(length > 1 for length in output.shape)


def _is_like(output: Any, axes: int) -> bool:
    # But for the batch.
    return not isinstance(output, torch.Tensor) or (output.numel() > 0 and _axes(output) >= axes - 1)


def _changed(factors: Mapping[Slot, int], size: int) -> dict[Slot, int]:
    return {slot: factor * size for slot, factor in factors.items()}


def _upwards(of: int, begin: int) -> Iterator[int]:
    """Sizes below one, the small ones first. Below 2 is only 1 left."""
    size = begin
    while size < of:
        yield size
        size += 1 if size < 16 else size // 4
    if of == 2 == begin:
        yield 1
