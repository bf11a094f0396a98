"""One call of an operator, as the formulas see it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..operands import mapped

Tensor = torch.Tensor
_FEWEST_DRAWN = 1 << 16
# The unit roundoff by dtype: 2**-precision.
UNITS = {
    torch.float64: 2.0**-53,
    torch.float32: 2.0**-24,
    torch.float16: 2.0**-11,
    torch.bfloat16: 2.0**-8,
    torch.complex128: 2.0**-53,
    torch.complex64: 2.0**-24,
}
# The root mean square of one rounding to nearest is u / sqrt(3) of the result.
ROUNDING = 3.0**-0.5


class Unknown(Exception):
    """A call that a formula can't say anything of; the general one takes its place."""


class Draws:
    """Standard normal numbers: pieces of one row, from where a generator says, since drawing each costs a run.

    Operators that take overlapping pieces move in the same pattern, shifted: no model sees that.
    """

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator
        # Of its own, so that what is drawn again doesn't depend on when the row was made.
        self._numbers = torch.Generator().manual_seed(generator.initial_seed() ^ 1)
        self._row = torch.empty(0)

    @property
    def state(self) -> Tensor:
        """Of the generator: what is drawn after it was put back is drawn again."""
        return self.generator.get_state()

    @state.setter
    def state(self, state: Tensor) -> None:
        self.generator.set_state(state)

    def normal(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """A tensor of them."""
        count = math.prod(shape) * (2 if dtype.is_complex else 1)
        if self._row.numel() < 2 * count:
            self._row = torch.randn(max(_FEWEST_DRAWN, 2 * count), generator=self._numbers)
        last = self._row.numel() - count
        # Complex numbers begin at even places.
        start = int(torch.randint(0, last // 2 + 1, (), generator=self.generator)) * 2
        piece = self._row[start : start + count].to(dtype.to_real() if dtype.is_complex else dtype)
        return torch.view_as_complex(piece.view(*shape, 2)) if dtype.is_complex else piece.view(tuple(shape))


@dataclass(frozen=True)
class Call:
    """name: the operator's, without the underscore of one that writes to its operand.

    args, kwargs: as they were before the call. results: the floating tensors that it made or wrote to, in order.
    everything: all that it returned, for formulas that need more than the results. draws: random numbers. longest: the
    most terms that one accumulator is taken to add.
    """

    name: str
    func: Any
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    results: Sequence[Tensor]
    everything: Any
    draws: Draws
    longest: float = math.inf

    def normal(self, like: Tensor) -> Tensor:
        """Standard normal numbers for a tensor, in float32 at least; of complex ones both parts."""
        return self.draws.normal(like.shape, wide(like).dtype).to(like.device)

    def __getitem__(self, name: str) -> Any:
        """An argument by its name in the schema; its default where it isn't given."""
        for position, argument in enumerate(self.func._schema.arguments):
            if argument.name == name:
                if name in self.kwargs:
                    return self.kwargs[name]
                return self.args[position] if position < len(self.args) else argument.default_value
        raise Unknown(f"{self.func} has no argument {name!r}")

    def with_operands(self, change: Callable[[Tensor], Tensor]) -> Any:
        """What the operator returns for changed floating operands; of one that writes to its first, its pure twin."""
        func = self.func
        if func._schema.is_mutable:
            if self.name == func.overloadpacket.__name__:
                raise Unknown(f"{func} has no pure twin")
            func = getattr(getattr(torch.ops, func.namespace), self.name)
        if_floating = lambda leaf: change(leaf) if floating(leaf) else leaf  # noqa: E731
        args = mapped(if_floating, tuple(self.args))
        return func(*args, **{name: mapped(if_floating, value) for name, value in self.kwargs.items()})

    @property
    def unit(self) -> float:
        """The unit roundoff of the first result."""
        return UNITS[self.results[0].dtype]

    @property
    def accumulator(self) -> float:
        """The unit roundoff that sums are made with: half precision is added up in float32, by eager and by others."""
        return min(self.unit, UNITS[torch.float32])


@dataclass(frozen=True)
class Replaced:
    """A result that is another one altogether, as a sum from left to right, and what it is moved by beside."""

    value: Tensor
    spread: Tensor | float = 0.0


@dataclass(frozen=True)
class Relative:
    """A spread that is so much of the result's size: one pass over the tensor instead of three."""

    factor: float


# By result, the standard deviation that it is moved by, None or 0 for what is exact, or another result.
Spread = Tensor | float | Relative | Replaced | None
Formula = Callable[[Call], Sequence[Spread]]


def floating(value: Any) -> bool:
    """Whether a value is a tensor of numbers that arithmetic rounds."""
    plain = isinstance(value, torch.Tensor) and not value.is_nested and value.layout is torch.strided
    return plain and value.dtype in UNITS


def absolute(value: Tensor) -> Tensor:
    """|x|; of complex numbers, as a real tensor."""
    return value.abs()


def wide(value: Tensor) -> Tensor:
    """A tensor in float32 at least, in which half precision's spreads neither overflow nor vanish."""
    return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value


def summed(call: Call, result: Tensor, magnitude: Tensor, terms: float) -> Tensor:
    """The spread of a sum of that many terms, whose absolute values add up to `magnitude`.

    u · max(1/2, ρ √n / 3) · magnitude with ρ = |y| / magnitude (Higham and Mary, A new approach to probabilistic
    rounding error analysis, SIAM J. Sci. Comput. 41, 2019): added from left to right, partial sums of terms of random
    sign grow as √i and lose u/2 of the magnitude, those of one sign grow as i and lose √n u/3.
    """
    size, magnitude = wide(absolute(result)), wide(magnitude)
    terms = min(terms, call.longest)
    spread = torch.maximum(0.5 * magnitude, size * (terms**0.5 / 3.0)) * call.accumulator
    return rounded(call, size, spread)


def rounded(call: Call, size: Tensor, spread: Tensor) -> Tensor:
    """A spread in the accumulator's precision with the rounding of the result to a narrower dtype."""
    if call.unit == call.accumulator:
        return spread
    return torch.hypot(spread, size * (ROUNDING * call.unit))
