"""The smallest case that is still red: random numbers in place of the model's, small sizes, no argument too many.

The simplest is tried first, since what an operator does wrong it mostly does with any numbers. What isn't red that way
is made simpler step by step, and each step is kept if it is red.
"""

from __future__ import annotations

from collections.abc import Callable

from .sketch import INPUT, LIKE, PLAIN, REAL, Choice, Sketch
from .trial import OutOfTime

# Whether a case as it is written by a choice fails as its part does. Raises OutOfTime.
Red = Callable[[Choice], bool]
# How often a size is halved towards the least one that is red.
_HALVES = 3
# So many arguments are left out by trial.
_ARGUMENTS = 8


def smallest(sketch: Sketch, red: Red) -> Choice | None:
    """The simplest choice that is red; None where the case isn't even with the model's own tensors."""
    search = _Search(sketch, red)
    try:
        for first in _firsts(sketch):
            if search.is_red(first):
                search.simplify()
                break
    except OutOfTime:
        pass
    return search.best


def _firsts(sketch: Sketch) -> list[Choice]:
    """What is tried in turn, the simplest first."""
    small = Choice.first(sketch, PLAIN, small=True)
    return [small, *(Choice.first(sketch, recipe) for recipe in (PLAIN, LIKE, REAL))]


class _Search:
    """best: the simplest choice so far that is red."""

    def __init__(self, sketch: Sketch, red: Red) -> None:
        self.sketch, self._red = sketch, red
        self.best: Choice | None = None
        self._known: dict[tuple[object, ...], bool] = {}

    def is_red(self, choice: Choice) -> bool:
        """Try a choice, and keep it as the best if it is red."""
        key = choice.key()
        if key not in self._known:
            self._known[key] = self._red(choice)
        if self._known[key]:
            self.best = choice
        return self._known[key]

    def simplify(self) -> None:
        """Make the best choice simpler in every respect, one after another."""
        self._numbers()
        self._sizes()
        self._numbers()
        self._arguments()

    def _now(self) -> Choice:
        assert self.best is not None
        return self.best

    def _numbers(self) -> None:
        """Random numbers in place of the model's: first for all weights, then for all inputs, then one by one."""
        weights = [value.name for value in self.sketch.values if value.kind != INPUT]
        inputs = [value.name for value in self.sketch.values if value.kind == INPUT]
        for recipe in (PLAIN, LIKE):
            for names in (weights, inputs):
                found = [name for name in names if _is_simpler(recipe, self._now().recipes[name])]
                if not found or self.is_red(self._now().with_recipes(found, recipe)) or len(found) == 1:
                    continue
                for name in found:
                    self.is_red(self._now().with_recipes([name], recipe))

    def _sizes(self) -> None:
        """Small sizes: all at once, or one by one, the batch first."""
        least = tuple(size.least for size in self.sketch.sizes)
        if self._now().sizes == least:
            return
        if self.is_red(Choice(self._now().recipes, least, self._now().dropped)):
            return
        for place, size in enumerate(self.sketch.sizes):
            if self.is_red(self._now().with_size(place, size.least)):
                continue
            green = size.least
            for _ in range(_HALVES):
                between = (green + self._now().sizes[place]) // 2
                if between in (green, self._now().sizes[place]):
                    break
                if not self.is_red(self._now().with_size(place, between)):
                    green = between

    def _arguments(self) -> None:
        """No argument that isn't needed for it: those that are left have a part in it."""
        optional = [
            (place, argument.name)
            for place, line in enumerate(self.sketch.lines)
            for argument in line.arguments
            if argument.optional and argument.name
        ]
        for place, name in optional[:_ARGUMENTS]:
            self.is_red(self._now().without(place, name))


def _is_simpler(recipe: str, than: str) -> bool:
    order = (PLAIN, LIKE, REAL)
    return order.index(recipe) < order.index(than)
