"""What a faithful runtime does where several ways are right: one for all of a model, or another at each operator."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

from . import accumulate, functions
from .accumulate import Order
from .functions import Error

T = TypeVar("T", bound=Hashable)


class Draw:
    """The choices of one run, drawn with a seed. Half of all runs choose once for all operators of a kind."""

    def __init__(self, seed: str) -> None:
        self._source = random.Random(seed)
        self.mixed = self._source.random() < 0.5
        self._kept: dict[str, Any] = {}

    def _drawn(self, what: str, make: Callable[[], Any]) -> Any:
        if self.mixed:
            return make()
        if what not in self._kept:
            self._kept[what] = make()
        return self._kept[what]

    def order(self, what: str) -> Order:
        """How an operator of a kind adds."""
        order: Order = self._drawn(f"order of {what}", lambda: accumulate.draw(self._source))
        return order

    def error(self, function: str) -> Error:
        """What a function is off by."""

        def make() -> Error:
            return Error(self._source.choice(functions.UNITS), self._source.getrandbits(16))

        error: Error = self._drawn(f"error of {function}", make)
        return error

    def one_of(self, what: str, ways: Sequence[T]) -> T:
        """One of some ways that are as good as each other."""
        way: T = self._drawn(what, lambda: self._source.choice(ways))
        return way

    def whether(self, what: str) -> bool:
        """One of two ways."""
        return self.one_of(what, (False, True))
