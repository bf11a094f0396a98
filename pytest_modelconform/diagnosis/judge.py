"""The numbers behind hints: does undoing something bring an output back to the model's?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..compare import Reference, compare_tensor
from ..compare.groups import Array
from ..compare.numbers import AS_EAGER, UNSTABLE, WILD, flat, is_complex
from ..terms.case import Tolerance
from ..terms.tolerances import limits

ENOUGH = 6.0  # bits that an explanation has to win, and to have in the end
FAR = 6.0  # bits beyond the tolerance that what is undone has to change
LUCK = 8.0  # bits of luck that nobody has
MOST_ELEMENTS = 1 << 24  # beyond that a hint is not worth the seconds
_SAMPLE = 509  # a prime, so that no axis's length hides in the step


@dataclass(frozen=True)
class Seen:
    """What a runtime returned for an input set.

    outputs: arrays by path as in `references`; other paths where the structure is another. Empty for a set that passed,
    whose outputs are then the references' as far as anybody can tell. again: outputs of a later run with other bits.
    ran: False where it was refused or died. shapes: of the input tensors, by path. sizes: those that differ from set to
    set, in words.
    """

    name: str
    references: Mapping[str, Reference]
    outputs: Mapping[str, Array] = field(default_factory=dict)
    again: Mapping[str, Array] = field(default_factory=dict)
    tolerance: Tolerance = field(default_factory=Tolerance)
    ran: bool = True
    shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    sizes: str = ""

    @property
    def right(self) -> bool:
        """Whether it ran and passed."""
        return self.ran and not self.outputs

    @cached_property
    def wrong(self) -> Mapping[str, Judge]:
        """The outputs that differ from the model's and say something, by path."""
        judges = {
            path: Judge(array, self.references[path], self.tolerance)
            for path, array in self.outputs.items()
            if path in self.references and self.references[path].kind != "empty" and array.size <= MOST_ELEMENTS
        }
        return {path: judge for path, judge in judges.items() if judge.informative and not judge.passes(judge.raw)}

    @cached_property
    def misshapen(self) -> bool:
        """Whether something was returned whose structure is another, or a shape in it."""
        return bool(self.outputs) and (
            self.outputs.keys() != self.references.keys()
            or any(array.shape != self.references[path].shape for path, array in self.outputs.items())
        )


class Judge:
    """One output tensor, what the model returns, and how to tell whether something explains the difference.

    y: the output, in a dtype that numpy's own functions take. model: in float64 (or complex128), with eager's NaN and
    infinities; integers and bools as eager has them. compared: where numbers are compared. before: bits of y.
    """

    def __init__(self, actual: Array, reference: Reference, tolerance: Tolerance) -> None:
        self.raw = actual
        self.y = _plain(actual)
        self.reference = reference
        self.tolerance = tolerance
        self.exact = reference.kind == "exact"
        codes = reference.codes
        self.compared: Array = np.ones(reference.shape, bool) if codes is None else _shaped(codes == 0, reference)
        self.model = _model(reference)

    @cached_property
    def before(self) -> float:
        """Bits that the output has as it is; -inf where its shape is another."""
        return self.bits(self.y)

    @cached_property
    def informative(self) -> bool:
        """Whether the model's values can tell one thing from another: they aren't constant."""
        values = self.model[self.compared]
        return values.size > 1 and not bool((values == values[0]).all())

    @cached_property
    def surprise(self) -> float:
        """Bits of luck that it would take to bring every wrong element of an exact output right."""
        if self.y.shape != self.model.shape:
            return self.luck(self.model.size)
        return self.luck(int((self.y != self.model)[self.compared].sum()))

    def luck(self, elements: int) -> float:
        """Bits of luck that it would take to guess that many elements of an exact output."""
        values = len(np.unique(self.model[self.compared])) if self.exact else 0
        return elements * math.log2(max(values, 1)) if self.exact else math.inf

    def bits(self, values: Array) -> float:
        """log2 of signal over error, the signal's mean taken off; of integers and bools, of all over those that differ.

        Within -60 and 60; -inf where the shape is another.
        """
        if values.shape != self.model.shape:
            return -math.inf
        if self.exact:
            return agreement(values[self.compared], self.model[self.compared], exact=True)
        return agreement(values[self.compared], self.model[self.compared])

    def passes(self, values: Array) -> bool:
        """Whether these values would have passed in place of the output."""
        if tuple(values.shape) != self.reference.shape or is_complex(self.reference.dtype) != (
            values.dtype.kind == "c"
        ):
            return False
        dtype = values.dtype.name if values is self.raw else self.reference.dtype
        return compare_tensor(values, self.reference, self.tolerance, where="", dtype=dtype).ok

    @cached_property
    def close(self) -> bool:
        """Whether the output is imprecise rather than wrong."""
        name = self.raw.dtype.name
        return compare_tensor(self.raw, self.reference, self.tolerance, where="", dtype=name).close

    def explains(self, undone: Array, strict: bool = False) -> bool:
        """Whether `undone`, the output with something undone, is the model's: it passes, or is much better than before.

        strict: only what passes counts.
        """
        if undone.shape != self.model.shape or not self.informative or self.surprise < LUCK:
            return False
        if not self.exact and not self._matters(undone):
            return False
        if not self.exact and not self._plausible(undone):
            return False
        if not strict and (found := self.bits(undone)) >= ENOUGH and found >= self.before + ENOUGH:
            return True
        return self.passes(undone)

    def _matters(self, undone: Array) -> bool:
        """Whether undoing it changes the output by far more than the tolerance: else what is on the line has any cause.

        By `FAR` bits, as root mean square over the tensor; where there is too much noise for that, by half of what the
        model's values vary.
        """
        if undone.shape != self.y.shape:
            return True
        with np.errstate(all="ignore"):
            change = np.abs(np.subtract(undone, self.y, dtype=np.result_type(undone, np.float64)))[self.compared]
            size = float(np.sqrt(np.mean(change * change))) if change.size else 0.0
        if not math.isfinite(size):
            return True
        return bool(size >= min(self._limit * 2.0**FAR, spread(self.model[self.compared]) / 2))

    @cached_property
    def _limit(self) -> float:
        """The root mean square that an error of the whole tensor may have."""
        reference = self.reference
        most = reference.format.lenient * (0.0 if reference.signal is None else float(reference.signal[0]))
        if reference.noise is not None:
            most = float(reference.noise[0]) * math.pow(2.0, limits(self.tolerance, reference.dtype)[0])
        return most

    def predicts(self, values: Array) -> bool:
        """Whether the output is `values`, which were made from the model's, rather than the model's own."""
        if values.shape != self.y.shape or self.exact:
            return False
        good = self.compared & np.isfinite(values)
        if good.sum() < 0.5 * good.size or good.sum() < 4:
            return False
        y, expected = self.y[good], values[good]
        found = agreement(y, expected)
        return found >= ENOUGH and found >= agreement(y, self.model[good], spread(expected)) + ENOUGH

    def _plausible(self, undone: Array) -> bool:
        """A cheap look at some elements first: layouts have a hundred permutations."""
        if undone.size <= 4 * _SAMPLE:
            return True
        step = undone.size // _SAMPLE | 1
        index = np.unravel_index(np.arange(0, undone.size, step), undone.shape)
        good = self.compared[index]
        one, two = undone[index][good], self.model[index][good]
        with np.errstate(all="ignore"):
            near = np.abs(one - two) <= 0.25 * spread(two)
        return bool(good.sum() < 8 or near.mean() > 0.8)


def agreement(values: Array, expected: Array, signal: float | None = None, exact: bool = False) -> float:
    """Bits that two equally long rows of numbers have in common."""
    if not values.size:
        return -60.0
    if exact:
        differing = float((values != expected).mean())
        return min(60.0, -math.log2(differing)) if differing else 60.0
    with np.errstate(all="ignore"):
        # In double precision: ours come as float32, where squares overflow.
        error = np.abs(np.subtract(values, expected, dtype=np.result_type(expected, np.float64)))
        size = float(np.sqrt(np.mean(error * error)))
    signal = spread(expected) if signal is None else signal
    if not math.isfinite(size) or signal == 0.0:
        return -60.0
    # Each logarithm by itself: the quotient of a small and a large number may be no number any more.
    return max(-60.0, min(60.0, math.log2(signal) - math.log2(size))) if size else 60.0


def spread(values: Array) -> float:
    """The standard deviation of finite numbers."""
    with np.errstate(all="ignore"):
        found = float(np.std(values, dtype=np.result_type(values.dtype, np.float64)).real) if values.size else 0.0
    return found if math.isfinite(found) else 0.0


def distinct(values: Array, at_least: int) -> bool:
    """Whether there are that many different numbers among the first few thousand."""
    return len(np.unique(values.reshape(-1)[:4096])) >= at_least


def subscript(axis: int, index: int | slice | Sequence[int], dimensions: int) -> tuple[Any, ...]:
    """What selects an index, or several, of one axis."""
    return (*[slice(None)] * axis, index, *[slice(None)] * (dimensions - axis - 1))


def _plain(array: Array) -> Array:
    return array if array.dtype.isbuiltin == 1 else array.astype(np.float32)  # bfloat16 and float8 are from ml_dtypes


def _shaped(row: Array, reference: Reference) -> Array:
    """A row by element in the tensor's shape; a complex element counts if both of its parts do."""
    if is_complex(reference.dtype):
        return np.asarray(row.reshape(*reference.shape, 2).all(-1))
    return row.reshape(reference.shape)


def _model(reference: Reference) -> Array:
    eager = _plain(flat(reference.eager))
    if reference.kind == "exact":
        return eager.reshape(reference.shape)
    values = eager.astype(np.float64) if reference.r is None else np.array(reference.r, np.float64)
    if reference.codes is not None:
        as_eager = np.isin(reference.codes, (AS_EAGER, UNSTABLE, WILD))
        values[as_eager] = eager[as_eager]
    if is_complex(reference.dtype):
        values = values.view(np.complex128)
    return values.reshape(reference.shape)
